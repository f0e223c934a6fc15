// A model's chat templates: a conversation becomes the text, and then the tokens, that the model was trained on. Jinja
// as Hugging Face transformers configures it (docs/chat.md). Compiled once; immutable, so thread-safe.
//
// Special tokens. The template's own "<|im_end|>" must become a special token, the same letters typed by a user must
// not. So rendered text remembers which of its bytes came out of the conversation: every string of `messages`, `tools`,
// `documents` and `variables` is marked, and the marks follow the text through everything that a template does with it
// (trim, split, slices, replace, join, tojson, ...). encode_chat() recognises special tokens only where no byte of
// them is marked. Exceptions, because templates build special tokens from them ('<|' + message.role + '|>'): roles of
// letters, digits, '_' and '-' are not marked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/json.h"
#include "engine/base/result.h"
#include "engine/text/byte_range.h"
#include "engine/text/jinja/limits.h"
#include "engine/text/tokenizer.h"

namespace colonnade::engine {

/// What a template is given. JSON objects keep the order of their keys, which templates print: read them with
/// parse_ordered_json (engine/base/json.h), never by way of Json.
struct ChatInput {
  OrderedJson messages = OrderedJson::array();  // a list of objects
  OrderedJson tools;                            // null, or a list of objects as in the OpenAI API
  OrderedJson documents;                        // null, or a list of objects
  bool add_generation_prompt = false;           // ends with what makes the model answer as the assistant
  bool continue_final_message = false;          // ends within the last message, which the model goes on with
  OrderedJson variables = OrderedJson::object();  // more variables (chat_template_kwargs): enable_thinking, ...
  std::string template_name;                    // one of names(); "": chosen as transformers does
};

/// Limits for templates from untrusted files. Exceeding one is kExhausted with the line of the template.
using ChatTemplateLimits = jinja::Limits;

/// The local time that strftime_now shows.
using ChatClock = std::function<std::tm()>;
std::tm local_time_now();

struct RenderedChat {
  std::string text;
  std::vector<ByteRange> from_input;  // ascending, not touching: the bytes that came out of the conversation
};

/// The content of one of a model's files ("tokenizer_config.json"), or nullopt where there is none.
using ModelFileReader = std::function<std::optional<std::string>(const std::string& name)>;

class ChatTemplates {
 public:
  /// One template from its text. `name` is used in messages ("chat_template.jinja"). kInvalidArgument: "NAME: line 3: ...".
  static Result<ChatTemplates> from_text(std::string_view text, const std::string& name, ChatTemplateLimits limits = {});

  /// All templates and the special tokens of a model, as transformers reads them: chat_template.jinja and
  /// additional_chat_templates/*.jinja come before tokenizer_config.json's chat_template (a text, or a list of named
  /// ones), chat_template.json is last; tokens from tokenizer_config.json, then special_tokens_map.json. A model
  /// without templates gives an empty set. `additional` lists the names (without .jinja) in additional_chat_templates/.
  static Result<ChatTemplates> from_model(const ModelFileReader& read, const std::vector<std::string>& additional,
                                          ChatTemplateLimits limits = {});

  ChatTemplates();
  ~ChatTemplates();
  ChatTemplates(ChatTemplates&&) noexcept;
  ChatTemplates& operator=(ChatTemplates&&) noexcept;

  /// No template: the caller uses chat.h's plain form.
  bool empty() const;
  std::vector<std::string> names() const;
  /// The text of the template that `name` or, with "", the rule chooses: "tool_use" where there is one and tools are
  /// given, else "default". For telling a model's family by its template; nullptr where there is none.
  const std::string* source(const std::string& name, bool with_tools) const;
  /// "bos_token" → "<s>", ...; variables of these names are visible to templates.
  const std::map<std::string, std::string>& special_tokens() const;
  void set_special_token(const std::string& name, const std::string& text);

  /// kInvalidArgument: what the template refuses (raise_exception: its words), an undefined value where one is needed,
  /// a filter or method that does not exist, input of the wrong shape, always "NAME: line N: ..."; kExhausted: a limit;
  /// kNotFound: no template of that name.
  Result<RenderedChat> render(const ChatInput& input, const ChatClock& clock = local_time_now) const;

  /// Renders with exactly these variables (a JSON object), nothing added.
  Result<RenderedChat> render_variables(const OrderedJson& variables, const ChatClock& clock = local_time_now) const;

 private:
  Status add(const std::string& name, std::string_view source, const std::string& shown);
  void set_limits(const ChatTemplateLimits& limits);

  struct State;
  std::unique_ptr<State> state_;
};

/// The tokens of a rendered conversation: special tokens are those that the template wrote; none are added.
std::vector<std::int32_t> encode_chat(const Tokenizer& tokenizer, const RenderedChat& chat);

}  // namespace colonnade::engine
