// The base of forms that write a function's name and then its arguments as JSON, with markers between.
#pragma once

#include "engine/text/chat_output/json_call_reader.h"

namespace colonnade::engine {

class NamedCalls : public CallStage {
 public:
  struct Form {
    std::vector<std::string_view> open;            // a call begins
    std::vector<std::string_view> section = {};    // calls begin
    std::vector<std::string_view> separators = {}; // between name, id and arguments
    std::vector<std::string_view> close = {};      // of calls and sections
    std::size_t min_separators = 1;                // before arguments
    std::string_view filling = {};                 // characters, besides blanks, that mean nothing behind arguments
    bool lists = false;                            // behind `open` may be a list of calls, all in JSON
  };

  NamedCalls(OutputSink& output, const std::vector<ToolSignature>& tools, Form form);

  bool opens_call(std::string_view spelling) const override;

 protected:
  struct Header {
    std::string_view name;  // none that is a name: this is no call
    std::string_view id = {};
  };
  /// From the texts between the markers, up to the arguments. Not empty.
  virtual Header read_header(const std::vector<std::string>& parts) const = 0;

 private:
  enum class State { kContent, kHeader, kArguments, kList, kBetween };

  Markers markers() const override;
  std::size_t on_text(std::string_view text) override;
  void on_marker(std::string_view marker) override;
  void on_end() override;
  std::size_t on_header(std::string_view text);
  std::size_t on_arguments(std::string_view text);
  std::size_t on_list(std::string_view text);
  std::size_t on_filling(std::string_view text);
  bool begin();
  void fail();

  const Form form_;
  std::vector<std::string_view> in_content_;  // markers of each state
  std::vector<std::string_view> in_header_;
  std::vector<std::string_view> between_;
  State state_ = State::kContent;
  std::vector<std::string> parts_;
  JsonScanner scanner_;
  JsonCallReader list_;
};

}  // namespace colonnade::engine
