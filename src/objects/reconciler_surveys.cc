// Surveys: one question to a source about the arcs of many exchanges (reconciler.h).
#include <algorithm>

#include "objects/planted_bugs.h"
#include "objects/reconciler.h"

namespace rosebud::objects {

/// Those that may begin now with the source of `first`, in the order of their arcs.
std::vector<std::size_t> Reconciler::exchanges_to_survey(std::size_t first) const {
  std::vector<std::size_t> out;
  std::size_t leaves = 0;
  const std::size_t ranges_max = survey_ranges_max(exchanges_[first].source);
  for (std::size_t i = 0; i < exchanges_.size() && out.size() < ranges_max; ++i) {
    const std::size_t index = (first + i) % exchanges_.size();
    const Exchange& exchange = exchanges_[index];
    const bool is_beginning =
        exchange.stage == Stage::kWaiting && exchange.todo.empty() && !exchange.is_alone;
    if (!is_beginning || exchange.source != exchanges_[first].source) continue;
    if (is_better_later(exchange)) continue;
    leaves += leaves_in(arcs_[exchange.arc].range);
    if (leaves > kSurveyLeavesMax) break;
    out.push_back(index);
  }
  std::ranges::sort(out, {}, [&](std::size_t index) { return exchanges_[index].arc; });
  return out;
}

void Reconciler::begin_survey(Instant now, std::vector<std::size_t> exchanges,
                              ReconcilerEffects& out) {
  const wire::NodeKey source = exchanges_[exchanges.front()].source;
  std::vector<wire::KeyRange> ranges;
  for (const std::size_t index : exchanges) {
    Exchange& exchange = exchanges_[index];
    begin(index);
    exchange.todo.clear();  // the survey has it
    enter(exchange, Stage::kSurveying);
    ++exchange.round;
    exchange.place = ranges.size();
    ranges.push_back(arcs_[exchange.arc].range);
  }
  ++exchanges_running_;
  surveys_.emplace(source, Survey{.exchanges = std::move(exchanges),
                                  .digest = RangeSurvey(std::move(ranges), *leaves_,
                                                        settings_.range_entries_max),
                                  .number = ++surveys_begun_,
                                  .deadline = {}});
  go_on_with_survey(now, source, out);
}

void Reconciler::go_on_with_survey(Instant now, const wire::NodeKey& source,
                                   ReconcilerEffects& out) {
  Survey& survey = surveys_.at(source);
  for (const RangeSurvey::Scan& next : survey.digest.next_scans()) {
    ask_scan(survey.exchanges[next.index], next.scan, out);
  }
  if (!survey.digest.is_done()) return;
  wire::CompareRanges question;
  for (const std::size_t index : survey.exchanges) {
    Exchange& exchange = exchanges_[index];
    enter(exchange, Stage::kSurveyed);
    question.ranges.push_back({.range = arcs_[exchange.arc].range,
                               .fingerprint = survey.digest.fingerprints()[exchange.place]});
  }
  survey.deadline = now + settings_.request_timeout;
  send(now, source, std::move(question), {.survey = survey.number}, out);
  if (leaves_->is_enabled()) start_waiting(now, out);
}

std::size_t Reconciler::survey_ranges_max(const wire::NodeKey& source) const {
  const auto at = survey_ranges_max_.find(source);
  return at == survey_ranges_max_.end() ? wire::kComparedRangesMax : at->second;
}

/// They would meet again in the next survey with their source, and one that cannot be read would
/// hold up all others for ever (design 10.6).
void Reconciler::fail_survey(Instant now, const wire::NodeKey& source, SurveyFailure why) {
  const auto at = surveys_.find(source);
  for (const std::size_t index : at->second.exchanges) {
    try_later(now, exchanges_[index]);
    exchanges_[index].is_alone = why == SurveyFailure::kBroken;
  }
  if (why == SurveyFailure::kTooLarge) {
    const std::size_t half = at->second.exchanges.size() / 2;
    survey_ranges_max_.insert_or_assign(source, std::max<std::size_t>(half, 1));
  }
  surveys_.erase(at);
  --exchanges_running_;
}

void Reconciler::on_survey_answer(Instant now, const Pending& pending, const wire::Answer& answer,
                                  ReconcilerEffects& out) {
  const auto at = surveys_.find(pending.to);
  if (at == surveys_.end() || at->second.number != pending.survey) return;
  const std::vector<std::size_t> exchanges = at->second.exchanges;
  const auto* compared = std::get_if<wire::RangesCompared>(&answer.body);
  if (!compared || compared->ranges.size() != exchanges.size()) {
    // Busy is whoever did not enter the epoch yet, and that is asked about together again. But it
    // may be one arc that cannot be read there, so about fewer, until that one is asked by itself.
    const auto* refused = std::get_if<wire::Refused>(&answer.body);
    const bool is_busy = refused && refused->reason == wire::RefusalReason::kBusy;
    fail_survey(now, pending.to, is_busy ? SurveyFailure::kTooLarge : SurveyFailure::kBroken);
    if (is_planted(Bug::kBusyIsTold)) {
      for (const std::size_t index : exchanges) note_told(now, index);
    }
    return start_waiting(now, out);
  }
  surveys_.erase(at);
  --exchanges_running_;
  if (const auto limit = survey_ranges_max_.find(pending.to); limit != survey_ranges_max_.end()) {
    limit->second = std::max(limit->second, 2 * exchanges.size());
    if (limit->second >= wire::kComparedRangesMax) survey_ranges_max_.erase(limit);
  }
  for (std::size_t i = 0; i < exchanges.size(); ++i) {
    const auto& [state, is_equal] = compared->ranges[i];
    Exchange& exchange = exchanges_[exchanges[i]];
    if (!state.has_entered) {
      try_later(now, exchange);
    } else if (is_equal) {
      exchange.claim = {.complete_for = state.complete_for, .gone_before = state.gone_before};
      note_told(now, exchanges[i]);
    } else {
      exchange.is_alone = true;
      enter(exchange, Stage::kWaiting);
    }
  }
  start_waiting(now, out);
}

void Reconciler::on_survey_time(Instant now, ReconcilerEffects& out) {
  std::vector<wire::NodeKey> late;
  for (const auto& [source, survey] : surveys_) {
    if (survey.deadline && *survey.deadline <= now) late.push_back(source);
  }
  for (const wire::NodeKey& source : late) {
    note_silence(now, source, out);
    fail_survey(now, source, SurveyFailure::kTooLarge);
  }
}

}  // namespace rosebud::objects
