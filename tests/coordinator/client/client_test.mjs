// The stock OpenAI client (npm package openai) against a running server.
// usage: node client_test.mjs BASE_URL [API_KEY]      e.g. http://127.0.0.1:8080/v1
// The model may be any; with the demo model its text is compared, too.
import assert from "node:assert/strict";
import test from "node:test";
import OpenAI, { APIError, APIUserAbortError, AuthenticationError, BadRequestError } from "openai";

const baseURL = process.env.COLONNADE_BASE_URL ?? process.argv[2];
const apiKey = process.env.COLONNADE_API_KEY ?? process.argv[3] ?? "none";
const root = baseURL.replace(/\/v1\/?$/, "");
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });

const { data: models } = await client.models.list();
const model = models[0].id;
const messages = [{ role: "user", content: "Once upon a time" }];
const greedy = { model, temperature: 0, seed: 1 };

async function gathered(stream) {
  let text = "";
  const chunks = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
    text += chunk.choices[0]?.delta?.content ?? chunk.choices[0]?.text ?? "";
  }
  return { text, chunks };
}

async function metric(name) {
  const response = await fetch(`${root}/metrics`, { headers: { Authorization: `Bearer ${apiKey}` } });
  const line = (await response.text()).split("\n").find((one) => one.startsWith(`${name} `));
  return Number(line?.split(" ")[1] ?? NaN);
}

async function soon(condition) {
  for (let i = 0; i < 400; ++i) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.fail(`never true: ${condition}`);
}

test("models", async () => {
  assert.equal(models.length, 1);
  assert.equal(models[0].object, "model");
  assert.equal((await client.models.retrieve(model)).id, model);
  await assert.rejects(client.models.retrieve("no-such-model"), (error) => error.status === 404);
});

test("chat, whole", async () => {
  const answer = await client.chat.completions.create({ ...greedy, messages, max_tokens: 24 });
  assert.equal(answer.object, "chat.completion");
  assert.equal(answer.choices[0].message.role, "assistant");
  assert.ok(answer.choices[0].message.content.length > 10);
  assert.ok(["stop", "length"].includes(answer.choices[0].finish_reason));
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  assert.ok(answer.usage.completion_tokens <= 24);
});

test("chat, streamed, is the same text", async () => {
  const request = { ...greedy, messages, max_completion_tokens: 24 };
  const whole = await client.chat.completions.create(request);
  const { text, chunks } = await gathered(
    await client.chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } }));
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(chunks[0].choices[0].delta.role, "assistant");
  assert.deepEqual(chunks.at(-1).usage, whole.usage);
  assert.equal(chunks.at(-2).choices[0].finish_reason, whole.choices[0].finish_reason);
});

test("the client's own stream runner", async () => {
  const runner = client.chat.completions.stream({ ...greedy, messages, max_tokens: 12 });
  const final = await runner.finalChatCompletion();
  assert.equal(final.choices[0].message.content, await runner.finalContent());
});

test("completions: prompts as text, list, tokens; several choices", async () => {
  const one = await client.completions.create({ ...greedy, prompt: "Once upon a time", max_tokens: 12 });
  assert.equal(one.object, "text_completion");
  const tokenized = await (await fetch(`${root}/tokenize`, {
    method: "POST", headers: { Authorization: `Bearer ${apiKey}` }, body: JSON.stringify({ prompt: "Once upon a time" }),
  })).json();
  const tokens = await client.completions.create({ ...greedy, prompt: tokenized.tokens, max_tokens: 12 });
  assert.equal(tokens.choices[0].text, one.choices[0].text);
  const many = await client.completions.create({ ...greedy, prompt: ["Once upon a time", "The king"], n: 2, max_tokens: 12 });
  assert.deepEqual(many.choices.map((choice) => choice.index), [0, 1, 2, 3]);
  assert.equal(many.choices[0].text, one.choices[0].text);
  assert.equal(many.choices[1].text, one.choices[0].text);
  assert.equal(many.choices[3].text, many.choices[2].text);
});

test("seeds: the same seed gives the same text, choices differ", async () => {
  const request = { model, prompt: "Once upon a time", max_tokens: 32, temperature: 1, seed: 1234, n: 3 };
  const first = await client.completions.create(request);
  const second = await client.completions.create(request);
  assert.deepEqual(first.choices.map((choice) => choice.text), second.choices.map((choice) => choice.text));
  assert.ok(new Set(first.choices.map((choice) => choice.text)).size > 1);
});

test("stop strings, whole and streamed", async () => {
  const free = await client.completions.create({ ...greedy, prompt: "Once upon a time", max_tokens: 40 });
  const text = free.choices[0].text;
  const stop = text.slice(12, 17);
  const expected = text.slice(0, text.indexOf(stop));
  const cut = await client.completions.create({ ...greedy, prompt: "Once upon a time", max_tokens: 40, stop });
  assert.equal(cut.choices[0].text, expected);
  assert.equal(cut.choices[0].finish_reason, "stop");
  const streamed = await gathered(
    await client.completions.create({ ...greedy, prompt: "Once upon a time", max_tokens: 40, stop: [stop, "\u0000"], stream: true }));
  assert.equal(streamed.text, expected);
});

test("logprobs in the chat shape", async () => {
  const answer = await client.chat.completions.create({ ...greedy, messages, max_tokens: 8, logprobs: true, top_logprobs: 5 });
  const content = answer.choices[0].logprobs.content;
  assert.equal(Buffer.from(content.flatMap((token) => token.bytes)).toString(), answer.choices[0].message.content);
  for (const token of content) {
    assert.ok(token.logprob <= 0);
    assert.equal(token.top_logprobs.length, 5);
    // Greedy: the chosen token is the likeliest.
    assert.equal(token.top_logprobs[0].token, token.token);
    for (let i = 1; i < 5; ++i) assert.ok(token.top_logprobs[i - 1].logprob >= token.top_logprobs[i].logprob);
  }
});

test("logprobs in the completions shape, with echo", async () => {
  const answer = await client.completions.create({ ...greedy, prompt: "Once upon a time", max_tokens: 6, logprobs: 2, echo: true });
  const { text, logprobs } = answer.choices[0];
  assert.ok(text.startsWith("Once upon a time"));
  assert.equal(logprobs.token_logprobs[0], null);
  assert.ok(logprobs.token_logprobs.slice(1).every((value) => value <= 0));
  assert.equal(logprobs.tokens.length, logprobs.text_offset.length);
  assert.equal(logprobs.tokens.length, answer.usage.total_tokens);
  // What a prompt's token was worth is what it is worth when it is generated.
  const scored = await client.completions.create({ ...greedy, prompt: text, max_tokens: 0, logprobs: 0, echo: true });
  assert.equal(scored.choices[0].text, text);
  const n = Math.min(logprobs.tokens.length, scored.choices[0].logprobs.tokens.length);
  for (let i = 1; i < n; ++i) {
    if (logprobs.tokens[i] !== scored.choices[0].logprobs.tokens[i]) break;
    assert.ok(Math.abs(logprobs.token_logprobs[i] - scored.choices[0].logprobs.token_logprobs[i]) < 0.05);
  }
});

test("logit bias and penalties change the text", async () => {
  const request = { ...greedy, messages, max_tokens: 8, logprobs: true };
  const free = await client.chat.completions.create(request);
  const id = (await (await fetch(`${root}/tokenize`, {
    method: "POST", headers: { Authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({ prompt: "x" + free.choices[0].logprobs.content[0].token, add_special_tokens: false }),
  })).json()).tokens.at(-1);
  const banned = await client.chat.completions.create({ ...request, logit_bias: { [id]: -100 } });
  assert.notEqual(banned.choices[0].logprobs.content[0].token, free.choices[0].logprobs.content[0].token);
  const repeated = await client.completions.create({ ...greedy, prompt: "la la la la la la", max_tokens: 40 });
  const varied = await client.completions.create({ ...greedy, prompt: "la la la la la la", max_tokens: 40, frequency_penalty: 2, presence_penalty: 2 });
  assert.notEqual(repeated.choices[0].text, varied.choices[0].text);
});

test("errors in OpenAI's shape", async () => {
  const wrong = (patch) => client.chat.completions.create({ model, messages, max_tokens: 4, ...patch });
  await assert.rejects(wrong({ temperature: "hot" }), (error) =>
    error instanceof BadRequestError && error.param === "temperature" && error.type === "invalid_request_error");
  await assert.rejects(wrong({ tools: [{ type: "function", function: { name: "f" } }] }), (error) => error.param === "tools");
  await assert.rejects(wrong({ response_format: { type: "xml" } }), (error) => error.param === "response_format");
  await assert.rejects(wrong({ messages: [] }), (error) => error.param === "messages");
  await assert.rejects(wrong({ messages: [{ role: "user", content: "word ".repeat(100_000) }] }), (error) =>
    error instanceof BadRequestError && error.code === "context_length_exceeded" && /\d+/.test(error.message));
  const malformed = await fetch(`${root}/v1/completions`, { method: "POST", headers: { Authorization: `Bearer ${apiKey}` }, body: "{" });
  assert.equal(malformed.status, 400);
  assert.equal((await malformed.json()).error.type, "invalid_request_error");
  await assert.rejects(client.get("/no/such/path"), (error) => error instanceof APIError && error.status === 404);
});

test("a wrong key is refused", { skip: apiKey === "none" && "the server has no key" }, async () => {
  const stranger = new OpenAI({ baseURL, apiKey: "wrong", maxRetries: 0 });
  await assert.rejects(stranger.chat.completions.create({ model, messages }), (error) => error instanceof AuthenticationError);
});

test("an aborted request stops its generation", async () => {
  for (const stream of [true, false]) {
    const controller = new AbortController();
    const request = client.completions.create(
      { model, prompt: "Once upon a time", max_tokens: 1500, stream, ignore_eos: true }, { signal: controller.signal });
    if (stream) {
      for await (const chunk of await request) {
        if (chunk.choices.length > 0) break;
      }
      controller.abort();
    } else {
      setTimeout(() => controller.abort(), 100);
      await assert.rejects(request, (error) => error instanceof APIUserAbortError);
    }
    await soon(async () => (await metric("colonnade_sequences_running")) === 0);
    assert.equal(await metric("colonnade_kv_pages_used"), 0);
  }
});

test("many streams at once, some aborted: the others have the text they have alone", async () => {
  const prompts = ["Once upon a time", "The king said", "There was a little girl", "In a dark forest"];
  const alone = {};
  for (const prompt of prompts) {
    alone[prompt] = (await client.completions.create({ ...greedy, prompt, max_tokens: 48 })).choices[0].text;
  }
  await Promise.all(Array.from({ length: 32 }, async (_, i) => {
    const prompt = prompts[i % prompts.length];
    const stream = await client.completions.create({ ...greedy, prompt, max_tokens: 48, stream: true });
    if (i % 5 === 4) {
      for await (const _ of stream) break;
      return;
    }
    assert.equal((await gathered(stream)).text, alone[prompt]);
  }));
  await soon(async () => (await metric("colonnade_sequences_running")) === 0);
  assert.equal(await metric("colonnade_kv_pages_used"), 0);
});

test("health", async () => {
  const response = await fetch(`${root}/health`);
  assert.equal(response.status, 200);
  assert.equal((await response.json()).status, "ready");
});
