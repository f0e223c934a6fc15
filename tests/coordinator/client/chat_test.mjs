// The stock OpenAI client (npm package openai): tools and reasoning, against chat_server.cc.
// usage: node chat_test.mjs BASE_URL
import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.COLONNADE_BASE_URL ?? process.argv[2], apiKey: "none", maxRetries: 0, timeout: 60_000 });
const messages = [{ role: "user", content: [{ type: "text", text: "What is the weather?" }] }];
const parameters = { type: "object", properties: { location: { type: "string" }, days: { type: "array" } } };
const tools = [{ type: "function", function: { name: "get_weather", description: "The weather.", parameters } }];
const expected = { location: 'Paris é"', days: [1, 2] };
const request = { model: "any", messages, tools, max_tokens: 1000 };

function checkCalls(message) {
  assert.equal(message.content, "Let me look.");
  assert.equal(message.tool_calls.length, 1);
  const [call] = message.tool_calls;
  assert.equal(call.type, "function");
  assert.equal(call.function.name, "get_weather");
  assert.deepEqual(JSON.parse(call.function.arguments), expected);
  return call;
}

test("a call, and the answer to its result", async () => {
  const first = await client.chat.completions.create(request);
  assert.equal(first.choices[0].finish_reason, "tool_calls");
  const { message } = first.choices[0];
  assert.equal(message.reasoning_content, "I must ask.");
  const call = checkCalls(message);
  assert.ok(first.usage.completion_tokens_details.reasoning_tokens > 0);
  const second = await client.chat.completions.create({
    ...request, messages: [...messages, message, { role: "tool", tool_call_id: call.id, content: "22 degrees" }],
  });
  assert.equal(second.choices[0].finish_reason, "stop");
  assert.equal(second.choices[0].message.content, "Warm: 22 degrees.");
  assert.equal(second.choices[0].message.tool_calls, undefined);
});

test("a call, streamed", async () => {
  let reasoning = "";
  const runner = client.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
  for await (const chunk of runner) reasoning += chunk.choices[0]?.delta?.reasoning_content ?? "";
  assert.equal(reasoning, "I must ask.");
  const final = await runner.finalChatCompletion();
  assert.equal(final.choices[0].finish_reason, "tool_calls");
  checkCalls(final.choices[0].message);
  assert.ok(final.usage.completion_tokens_details.reasoning_tokens > 0);
});

for (const stream of [false, true]) {
  test(`the client's own loop over tools, ${stream ? "streamed" : "whole"}`, async () => {
    const asked = [];
    const runner = client.chat.completions.runTools({
      ...request, stream,
      tools: [{
        type: "function",
        function: { name: "get_weather", description: "The weather.", parameters, parse: JSON.parse,
                    function: (given) => { asked.push(given); return "22 degrees"; } },
      }],
    });
    assert.equal(await runner.finalContent(), "Warm: 22 degrees.");
    assert.deepEqual(asked, [expected]);
  });
}

test("no tools wanted, and mistakes", async () => {
  const none = await client.chat.completions.create({ ...request, tool_choice: "none" });
  assert.equal(none.choices[0].finish_reason, "stop");
  assert.ok(none.choices[0].message.content.includes("<tool_call>"));
  await assert.rejects(client.chat.completions.create({ ...request, tools: [{ type: "function", function: { name: "a b" } }] }),
    (error) => error.status === 400 && error.param === "tools");
  await assert.rejects(
    client.chat.completions.create({ ...request, messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "x" } }] }] }),
    (error) => error.status === 400 && /messages\[0\]\.content\[0\]\.type.*image_url/.test(error.message));
});
