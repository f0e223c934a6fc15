#include "coordinator/cli/value_list.h"

#include <charconv>

#include "engine/base/format_text.h"

namespace colonnade::cli {
namespace {

template <typename Number>
Result<std::vector<Number>> numbers(std::string_view option, std::string_view list, Number min, Number max) {
  COLONNADE_ASSIGN(const std::vector<std::string> words, word_list(option, list));
  std::vector<Number> values;
  for (const std::string& word : words) {
    Number value = 0;
    const char* const end = word.data() + word.size();
    const auto read = std::from_chars(word.data(), end, value);
    if (read.ec != std::errc{} || read.ptr != end || !(value >= min && value <= max))
      return Error{ErrorCode::kInvalidArgument,
                   text(option, ": expected numbers from ", min, " to ", max, " with commas between them, found \"", word, "\"")};
    values.push_back(value);
  }
  return values;
}

}  // namespace

Result<std::vector<std::string>> word_list(std::string_view option, std::string_view list) {
  std::vector<std::string> words;
  if (list.empty()) return words;
  for (std::size_t begin = 0;;) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    if (end == begin)
      return Error{ErrorCode::kInvalidArgument, text(option, ": expected values with single commas between them, found \"", list, "\"")};
    words.emplace_back(list.substr(begin, end - begin));
    if (end == list.size()) return words;
    begin = end + 1;
  }
}

Result<std::vector<double>> number_list(std::string_view option, std::string_view list, double min, double max) {
  return numbers<double>(option, list, min, max);
}

Result<std::vector<int>> integer_list(std::string_view option, std::string_view list, int min, int max) {
  return numbers<int>(option, list, min, max);
}

}  // namespace colonnade::cli
