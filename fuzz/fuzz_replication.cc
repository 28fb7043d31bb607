// What a replication group takes from anybody: hellos, announcements, replies, group files,
// evidence. The first byte says which. What is taken must be written again as it was.
#include "replication/client_frames.h"
#include "replication/evidence_file.h"
#include "replication/group_file.h"
#include "replication/hello.h"
#include "script.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rosebud;
  using namespace rosebud::replication;
  using fuzz::require;
  if (size == 0) return 0;
  const ByteView input = ByteView(data, size).subspan(1);
  switch (data[0] % 5) {
    case 0:
      if (const auto hello = Hello::decode(input))
        require(equal(hello->encode(), input), "a hello");
      if (const auto verdict = decode_verdict(input)) (void)judge_verdict(encode(*verdict));
      break;
    case 1:
      if (const auto all = Announcement::decode(input)) {
        require(all->entries.size() <= Announcement::kClientsMax, "few are announced");
        require(equal(all->encode(), input), "an announcement");
      }
      break;
    case 2:
      if (const auto reply = ReplyFrame::decode(input))
        require(equal(reply->encode(), input), "a reply");
      break;
    case 3:
      if (const auto group = GroupFile::parse(std::string(as_text(input)), "group.json")) {
        const auto again = GroupFile::parse(group->text(), "group.json");
        require(again && again->instance() == group->instance(), "a group file");
        require(group->group()->members().size() >= group->group()->quorum(), "a group's quorum");
      }
      break;
    default:
      if (const auto evidence = pbft::Evidence::decode(input))
        require(equal(evidence->encode(), input), "evidence");
  }
  return 0;
}
