// Whole files, as operations of the history beside those of their blocks.
#pragma once

#include "apps/trial/recording_session.h"
#include "fs/cid.h"

namespace rosebud::trial {

/// Stores the bytes as a file. Nothing: it was not acknowledged.
std::optional<fs::Cid> add_file(client::Session& session, history::Recorder& recorder,
                                ByteView bytes, Duration timeout);
/// Reads the whole file; the history says the hash of what came.
history::Outcome read_file(client::Session& session, history::Recorder& recorder,
                           const fs::Cid& cid, Duration timeout);

inline std::string object_name(const fs::Cid& cid) { return "file:" + cid.text(); }

}  // namespace rosebud::trial
