// Jobs on the demo model for tests: how to start one and what it must generate.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "tests/worker/control_client_for_tests.h"
#include "worker/in_process_job.h"

namespace colonnade::tests {

/// The demo model packed in f32, made on first use.
const std::filesystem::path& demo_model();

/// f32 KV, 512 KV tokens, 64 step tokens, one thread a rank.
worker::WorkerOptions demo_options(int n_stages);

/// Throws when it cannot start.
std::unique_ptr<worker::InProcessJob> start(worker::WorkerOptions options, int n_ranks);

inline const std::vector<std::int32_t> kPrompt{1, 50, 90, 300, 12, 77, 401, 33};

/// Greedy tokens after `prompt`, which is given in chunks of at most `chunk` tokens.
std::vector<std::int32_t> generate(ControlTestClient& client, std::vector<std::int32_t> prompt, int count, std::size_t chunk);

/// The 24 tokens that one rank generates after kPrompt.
const std::vector<std::int32_t>& expected_tokens();

void shut_down(ControlTestClient& client);

}  // namespace colonnade::tests
