#include <catch2/catch.hpp>
#include <vector>

#include "engine/text/chat.h"

using colonnade::engine::ChatMessage;
using colonnade::engine::plain_chat_prompt;

TEST_CASE("a conversation without a template is one text") {
  CHECK(plain_chat_prompt(std::vector<ChatMessage>{{"user", "Once upon a time"}}) == "Once upon a time");
  CHECK(plain_chat_prompt(std::vector<ChatMessage>{
            {"system", "A tale."}, {"user", "There was a king"}, {"assistant", "who had a son."}, {"user", "The son"}}) ==
        "A tale.\nThere was a king\nwho had a son.\nThe son");
  CHECK(plain_chat_prompt({}).empty());
}
