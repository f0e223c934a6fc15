#include "tests/coordinator/chat_backend.h"

#include <fstream>
#include <iterator>

#include "engine/base/json.h"
#include "tests/support/shared_data.h"

namespace colonnade::tests {
namespace {

/// The answer's tokens and then the end token for ever.
FakeGenerator::Script script(ChatBackend::Answer answer, const std::vector<std::string>& special) {
  std::shared_ptr<const engine::Tokenizer> tokenizer = tokenizer_with(special);
  return [answer = std::move(answer), tokenizer](const coordinator::GenerationRequest& request) {
    std::vector<std::int32_t> tokens =
        tokenizer->encode(answer(tokenizer->decode(request.prompt, true)), engine::SpecialTokens::kRecognise, false);
    tokens.push_back(2);
    return tokens;
  };
}

}  // namespace

std::unique_ptr<engine::Tokenizer> tokenizer_with(const std::vector<std::string>& special) {
  std::ifstream in(source_folder() / "deploy/demo/tokenizer.json", std::ios::binary);
  Json json = Json::parse(in);
  int id = demo_tokenizer()->vocab_size();
  for (const std::string& token : special) {
    json["added_tokens"].push_back({{"id", id++}, {"content", token}, {"special", true}, {"lstrip", false}, {"rstrip", false},
                                    {"normalized", false}, {"single_word", false}});
  }
  return engine::load_tokenizer_json(json.dump()).value();
}

ChatBackend::ChatBackend(engine::OutputFormat format, const std::string& answer, const std::vector<std::string>& special)
    : ChatBackend(std::move(format), [answer](const std::string&) { return answer; }, special) {}

ChatBackend::ChatBackend(engine::OutputFormat format, Answer answer, const std::vector<std::string>& special)
    : DemoBackend(script(std::move(answer), special)), own_tokenizer_(tokenizer_with(special)) {
  backend.tokenizer = own_tokenizer_.get();
  backend.context_tokens = 4096;
  backend.chat.format = std::move(format);
  backend.chat.traits.tools = true;
  backend.chat.render = [this](const engine::ChatInput& input, const std::string& own) -> Result<coordinator::RenderedPrompt> {
    const std::lock_guard lock(mutex_);
    last_input_ = input;
    if (input.messages.back()["content"] == "refuse") return Error{ErrorCode::kInvalidArgument, "chat_template: line 1: roles must alternate"};
    coordinator::RenderedPrompt prompt;
    prompt.text = own + input.messages.back()["content"].dump() + prompt_end;
    prompt.tokens = backend.tokenizer->encode(prompt.text, engine::SpecialTokens::kPlain, true);
    return prompt;
  };
}

engine::ChatInput ChatBackend::last_input() const {
  const std::lock_guard lock(mutex_);
  return last_input_;
}

}  // namespace colonnade::tests
