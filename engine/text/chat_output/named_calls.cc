#include "engine/text/chat_output/named_calls.h"

namespace colonnade::engine {
namespace {

using Markers = std::vector<std::string_view>;

/// Of all parts together: names, ids and a few markers.
constexpr std::size_t kMaxHeaderBytes = 1024;

bool contains(const Markers& markers, std::string_view marker) {
  return std::find(markers.begin(), markers.end(), marker) != markers.end();
}

Markers joined(Markers all, const Markers& more) {
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace

NamedCalls::NamedCalls(OutputSink& output, const std::vector<ToolSignature>& tools, Form form)
    : CallStage(output, tools),
      form_(std::move(form)),
      in_content_(joined(form_.open, form_.section)),
      in_header_(joined(joined(form_.open, form_.separators), form_.close)),
      between_(joined(in_content_, form_.close)),
      list_(*this, {}) {}

bool NamedCalls::opens_call(std::string_view spelling) const { return contains(in_content_, spelling); }

MarkedStage::Markers NamedCalls::markers() const {
  switch (state_) {
    case State::kContent:
      return in_content_;
    case State::kHeader:
      return in_header_;
    case State::kArguments:
    case State::kList:
      return {};  // a JSON string may hold anything
    case State::kBetween:
      return between_;
  }
  return {};
}

std::size_t NamedCalls::on_text(std::string_view text) {
  switch (state_) {
    case State::kContent:
      sink().content(text);
      return text.size();
    case State::kHeader:
      return on_header(text);
    case State::kArguments:
      return on_arguments(text);
    case State::kList:
      return on_list(text);
    case State::kBetween:
      return on_filling(text);
  }
  return text.size();
}

void NamedCalls::fail() {
  give_up();
  state_ = State::kContent;
}

bool NamedCalls::begin() {
  const Header header = read_header(parts_);
  return begin_call(header.name, std::string(header.id));
}

std::size_t NamedCalls::on_header(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '[' && form_.lists && parts_.size() == 1 && trimmed(parts_[0]).empty()) {
      state_ = State::kList;
      return i;
    }
    std::size_t bytes = 0;
    for (const std::string& part : parts_) bytes += part.size();
    if (bytes >= kMaxHeaderBytes || (c == '{' && (parts_.size() <= form_.min_separators || !begin()))) {
      fail();
      return i;
    }
    if (c == '{') {
      scanner_ = {};
      state_ = State::kArguments;
      return i;
    }
    keep(text.substr(i, 1));
    parts_.back() += c;
  }
  return text.size();
}

std::size_t NamedCalls::on_arguments(std::string_view text) {
  std::string fragment;
  std::size_t taken = 0;
  while (taken < text.size() && state_ == State::kArguments) {
    const bool in_string = scanner_.in_string();
    const JsonScanner::Step step = scanner_.push(text[taken]);
    if (step == JsonScanner::Step::kBroken) {
      state_ = State::kContent;
      break;
    }
    append_json_character(fragment, text[taken++], in_string);
    if (step == JsonScanner::Step::kEnd) state_ = State::kBetween;
  }
  arguments(fragment);
  if (state_ != State::kArguments) end_call();
  return taken;
}

std::size_t NamedCalls::on_list(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const JsonCallReader::Step step = list_.push(text[i]);
    if (step == JsonCallReader::Step::kBroken) {
      fail();
      return i;
    }
    keep(text.substr(i, 1));
    if (step == JsonCallReader::Step::kMore) continue;
    drop_kept();
    state_ = State::kBetween;
    return i + 1;
  }
  return text.size();
}

std::size_t NamedCalls::on_filling(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_blank(text[i]) || form_.filling.find(text[i]) != std::string_view::npos) continue;
    state_ = State::kContent;
    return i;
  }
  return text.size();
}

void NamedCalls::on_marker(std::string_view marker) {
  if (contains(form_.open, marker)) {
    give_up();  // a header that came to nothing
    keep(marker);
    parts_.assign(1, {});
    state_ = State::kHeader;
  } else if (contains(form_.section, marker)) {
    sink().boundary();
    state_ = State::kBetween;
  } else if (state_ == State::kHeader && contains(form_.separators, marker)) {
    keep(marker);
    parts_.emplace_back();
  } else if (state_ == State::kHeader) {  // closed: a call without arguments, or none
    if (parts_.size() > form_.min_separators && trimmed(parts_.back()).empty() && begin()) {
      arguments("{}");
      end_call();
    } else {
      keep(marker);
      give_up();
    }
    state_ = State::kBetween;
  } else {
    sink().boundary();
  }
}

void NamedCalls::on_end() {
  if (state_ == State::kHeader || state_ == State::kArguments || state_ == State::kList) give_up();
}

}  // namespace colonnade::engine
