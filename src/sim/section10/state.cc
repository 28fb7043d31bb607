#include "sim/section10/state.h"

namespace rosebud::sim::section10 {
namespace {

class BitWriter {
 public:
  BitWriter& put(unsigned value, int width) {
    bits_ |= static_cast<std::uint64_t>(value) << at_;
    at_ += width;
    return *this;
  }
  std::uint64_t bits() const { return bits_; }

 private:
  std::uint64_t bits_ = 0;
  int at_ = 0;
};

class BitReader {
 public:
  explicit BitReader(std::uint64_t bits) : bits_(bits) {}
  std::uint8_t take(int width) {
    const auto value = static_cast<std::uint8_t>(bits_ & ((1U << width) - 1));
    bits_ >>= width;
    return value;
  }

 private:
  std::uint64_t bits_;
};

}  // namespace

std::uint64_t Replica::pack() const {
  BitWriter out;
  out.put(is_faulty, 1).put(epoch, 2).put(version, 2).put(complete, 2);
  out.put(static_cast<unsigned>(serving), 2).put(gone, 2).put(is_owing, 1);
  for (const Answers& all : {answers, answers_before_gone}) {
    for (const Told& told : all) out.put(told.entered, 2).put(told.complete, 2);
  }
  for (std::size_t e = 1; e <= kEpochs; ++e) out.put(acknowledged[e], 2).put(stale[e] >> 1, 2);
  for (const Asked& one : asked) out.put(static_cast<unsigned>(one.asking), 2).put(one.told, 4);
  return out.bits();
}

Replica Replica::unpack(std::uint64_t bits) {
  BitReader in(bits);
  Replica out;
  out.is_faulty = in.take(1) != 0;
  out.epoch = in.take(2);
  out.version = in.take(2);
  out.complete = in.take(2);
  out.serving = static_cast<Serving>(in.take(2));
  out.gone = in.take(2);
  out.is_owing = in.take(1) != 0;
  for (Answers* all : {&out.answers, &out.answers_before_gone}) {
    for (Told& told : *all) {
      told.entered = in.take(2);
      told.complete = in.take(2);
    }
  }
  for (std::size_t e = 1; e <= kEpochs; ++e) {
    out.acknowledged[e] = in.take(2);
    out.stale[e] = static_cast<std::uint8_t>(in.take(2) << 1);
  }
  for (Asked& one : out.asked) {
    one.asking = static_cast<Asking>(in.take(2));
    one.told = in.take(4);
  }
  return out;
}

std::uint16_t State::pack_rest() const {
  BitWriter out;
  for (std::size_t e = 1; e <= kEpochs; ++e) out.put(established[e], 2).put(ended[e], 1);
  out.put(crashes_left, 2);
  return static_cast<std::uint16_t>(out.bits());
}

void State::unpack_rest(std::uint16_t bits) {
  BitReader in(bits);
  for (std::size_t e = 1; e <= kEpochs; ++e) {
    established[e] = in.take(2);
    ended[e] = in.take(1) != 0;
  }
  crashes_left = in.take(2);
}

bool Scenario::are_alike(std::size_t a, std::size_t b) const {
  for (int e = 1; e <= kEpochs; ++e) {
    if (is_member(a, e) != is_member(b, e)) return false;
  }
  return true;
}

std::string Scenario::describe() const {
  std::string out;
  for (int e = 1; e <= kEpochs; ++e) {
    for (std::size_t node = 0; node < nodes; ++node) {
      if (is_member(node, e)) out += letter_of(node);
    }
    out += e < kEpochs ? " " : ", ";
  }
  for (std::size_t node = 0; node < nodes; ++node) {
    if (is_faulty[node]) out += letter_of(node);
  }
  return out + " faulty";
}

}  // namespace rosebud::sim::section10
