// Attention with latents (DeepSeek V2 and V3): which weights go, against a plain reading of the model's definition in double.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/formats/format.h"
#include "shard/blob.h"
#include "shard/pack.h"
#include "shard/prune/prune_model.h"
#include "shard/source_model.h"
#include "tests/shard/prune/naive.h"
#include "tests/shard/prune/pruned_folders.h"

using namespace colonnade;
using namespace colonnade::shard;
using namespace colonnade::tests;

namespace {

using Row = std::vector<double>;

Doubles read_tensor(const SourceModel& model, const std::string& name) {
  const auto rows = model.source().open(name);
  if (!rows.ok()) FAIL(rows.error().message);
  std::vector<float> values(rows->rows() * rows->cols());
  REQUIRE(rows->read({0, rows->rows(), 0, rows->cols()}, values.data(), rows->cols()).ok());
  Doubles matrix;
  for (std::size_t r = 0; r < rows->rows(); ++r)
    matrix.emplace_back(values.begin() + static_cast<std::ptrdiff_t>(r * rows->cols()),
                        values.begin() + static_cast<std::ptrdiff_t>((r + 1) * rows->cols()));
  return matrix;
}

Row multiply(const Doubles& matrix, const Row& x) {
  Row out;
  for (const Row& row : matrix) {
    double sum = 0;
    for (std::size_t c = 0; c < row.size(); ++c) sum += row[c] * x[c];
    out.push_back(sum);
  }
  return out;
}

Row norm(const Row& x, const Row& weight) {
  double squares = 0;
  for (const double value : x) squares += value * value;
  const double scale = 1 / std::sqrt(squares / static_cast<double>(x.size()) + 1e-6);
  Row out;
  for (std::size_t i = 0; i < x.size(); ++i) out.push_back(x[i] * scale * weight[i]);
  return out;
}

/// YaRN (Peng et al. 2023) with the numbers of the golden models: theta 10000, factor 40, 256 original positions, betas 32 and 1.
double frequency(std::size_t pair, std::size_t dim) {
  const double theta = 10000, original = 256, d = static_cast<double>(dim);
  const auto dimension_of = [&](double turns) { return d * std::log(original / (turns * 2 * M_PI)) / (2 * std::log(theta)); };
  const double low = std::max(0.0, std::floor(dimension_of(32))), high = std::min(d - 1, std::ceil(dimension_of(1)));
  const double plain = std::pow(theta, -2 * static_cast<double>(pair) / d);
  const double ramp = std::clamp((static_cast<double>(pair) - low) / (high == low ? 0.001 : high - low), 0.0, 1.0);
  return plain * (1 - ramp) + plain / 40 * ramp;
}

/// Neighbours are a pair.
void rotate(double* x, std::size_t dim, std::size_t position) {
  for (std::size_t i = 0; i < dim / 2; ++i) {
    const double angle = frequency(i, dim) * static_cast<double>(position), a = x[2 * i], b = x[2 * i + 1];
    x[2 * i] = a * std::cos(angle) - b * std::sin(angle);
    x[2 * i + 1] = a * std::sin(angle) + b * std::cos(angle);
  }
}

/// Roots of sums of squares of what each projection of the first layer's attention is multiplied with, by tensor.
std::map<std::string, Row> input_norms(const SourceModel& model, const std::vector<std::vector<std::int32_t>>& windows) {
  const engine::LatentConfig& latent = model.config().latent;
  const auto plain = static_cast<std::size_t>(latent.plain_dim), rotary = static_cast<std::size_t>(latent.rotary_dim),
             value = static_cast<std::size_t>(latent.value_dim), dim = static_cast<std::size_t>(latent.dim);
  const std::string at = "model.layers.0.self_attn.";
  const auto tensor = [&](const std::string& name) { return read_tensor(model, at + name + ".weight"); };
  const bool two_steps = latent.query_dim > 0;
  const Doubles embedding = read_tensor(model, "model.embed_tokens.weight"), query = tensor(two_steps ? "q_b_proj" : "q_proj"),
                kv_a = tensor("kv_a_proj_with_mqa"), kv_b = tensor("kv_b_proj");
  const Row input_norm = read_tensor(model, "model.layers.0.input_layernorm.weight")[0], latent_norm = tensor("kv_a_layernorm")[0];
  std::map<std::string, Row> sums;
  const auto count = [&](const char* name, const Row& x) {
    Row& sum = sums[at + name + ".weight"];
    sum.resize(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) sum[i] += x[i] * x[i];
  };
  for (const auto& window : windows) {
    Doubles queries, keys_values, rotated_keys;
    for (std::size_t t = 0; t < window.size(); ++t) {
      const Row h = norm(embedding[static_cast<std::size_t>(window[t])], input_norm);
      Row for_query = h;
      if (two_steps) {
        count("q_a_proj", h);
        for_query = norm(multiply(tensor("q_a_proj"), h), tensor("q_a_layernorm")[0]);
      }
      count(two_steps ? "q_b_proj" : "q_proj", for_query);
      queries.push_back(multiply(query, for_query));
      for (std::size_t q = plain; q < queries.back().size(); q += plain + rotary) rotate(&queries.back()[q], rotary, t);
      count("kv_a_proj_with_mqa", h);
      Row both = multiply(kv_a, h);
      rotate(&both[dim], rotary, t);
      rotated_keys.emplace_back(both.begin() + static_cast<std::ptrdiff_t>(dim), both.end());
      both.resize(dim);
      const Row c = norm(both, latent_norm);
      count("kv_b_proj", c);
      keys_values.push_back(multiply(kv_b, c));
    }
    for (std::size_t t = 0; t < window.size(); ++t) {
      Row attended;
      for (std::size_t head = 0; head < static_cast<std::size_t>(model.config().n_heads); ++head) {
        const double* const q = &queries[t][head * (plain + rotary)];
        Row weights;
        double sum = 0;
        for (std::size_t s = 0; s <= t; ++s) {
          double score = 0;
          for (std::size_t i = 0; i < plain; ++i) score += q[i] * keys_values[s][head * (plain + value) + i];
          for (std::size_t i = 0; i < rotary; ++i) score += q[plain + i] * rotated_keys[s][i];
          weights.push_back(std::exp(score * static_cast<double>(model.config().attention_scale)));
          sum += weights.back();
        }
        for (std::size_t i = 0; i < value; ++i) {
          double out = 0;
          for (std::size_t s = 0; s <= t; ++s) out += weights[s] / sum * keys_values[s][head * (plain + value) + plain + i];
          attended.push_back(out);
        }
      }
      count("o_proj", attended);
    }
  }
  for (auto& [name, sum] : sums)
    for (double& value_of : sum) value_of = std::sqrt(value_of);
  return sums;
}

PruneOptions options_for(const SourceModel& model, std::size_t n_windows) {
  PruneOptions options;
  options.windows = some_windows(model.config().vocab_size, n_windows);
  options.threads = 2;
  return options;
}

}  // namespace

TEST_CASE("wanda takes the weights of latent attention that a plain reading of the definition takes") {
  for (const char* family : {"deepseek_v2", "deepseek_v3"}) {
    CAPTURE(family);
    const auto source = SourceModel::open(golden_folder(family));
    REQUIRE(source.ok());
    PruneOptions options = options_for(*source, 6);
    options.rules.method = PruneMethod::kWanda;
    const auto out = new_folder(std::string("latent-wanda-") + family);
    const auto report = prune_model(golden_folder(family), out, options);
    if (!report.ok()) FAIL(report.error().message);
    const auto pruned = SourceModel::open(out);
    if (!pruned.ok()) FAIL(pruned.error().message);
    const auto norms = input_norms(*source, options.windows);
    CHECK(norms.size() == (source->config().latent.query_dim > 0 ? 5u : 4u));
    for (const auto& [name, of_input] : norms) {
      CAPTURE(name);
      const Doubles before = read_tensor(*source, name), after = read_tensor(*pruned, name);
      std::size_t wrong = 0, close = 0;
      for (std::size_t r = 0; r < before.size(); ++r) {
        Row scores;
        for (std::size_t c = 0; c < of_input.size(); ++c) scores.push_back(std::fabs(before[r][c]) * of_input[c]);
        Row sorted = scores;
        std::sort(sorted.begin(), sorted.end());
        const double largest_gone = sorted[sorted.size() / 2 - 1], smallest_left = sorted[sorted.size() / 2];
        for (std::size_t c = 0; c < scores.size(); ++c) {
          const bool gone = scores[c] <= largest_gone;
          if ((after[r][c] == 0) == gone) continue;
          // What fp32 cannot tell apart from the threshold.
          (std::fabs(scores[c] - (gone ? smallest_left : largest_gone)) < 1e-4 * smallest_left ? close : wrong) += 1;
        }
        CHECK(static_cast<std::size_t>(std::count(after[r].begin(), after[r].end(), 0.0)) == after[r].size() / 2);
      }
      CHECK(wrong == 0);
      CHECK(close <= 4);
    }
  }
}

TEST_CASE("packing keeps the zeros of latent attention, and values that were rounded, in the form that the engine runs") {
  for (const char* family : {"deepseek_v2", "deepseek_v3"}) {
    CAPTURE(family);
    const auto source = SourceModel::open(golden_folder(family));
    REQUIRE(source.ok());
    PruneOptions options = options_for(*source, 30);
    options.rules = {.refit = true, .sparsity = 0.6, .values = PrunedValues::kInt8};
    const auto out = new_folder(std::string("latent-packed-") + family);
    const auto report = prune_model(golden_folder(family), out, options);
    if (!report.ok()) FAIL(report.error().message);
    const auto pruned = SourceModel::open(out);
    REQUIRE(pruned.ok());
    std::map<MatrixRole, std::pair<double, double>> zeros;  // and all
    for (PathSpec path : enumerate_paths(pruned->config(), format_choice(engine::FormatId::kInt8))) {
      if (path.kind != PathKind::kAttention && path.kind != PathKind::kLatent) continue;
      const PathWeights weights = pruned->weights_of(path);
      for (const MatrixSpec& m : path.matrices) {
        for (std::uint32_t r = 0; r < m.rows; r += 16) {
          const std::uint32_t count = std::min<std::uint32_t>(16, m.rows - r);
          std::vector<float> rows(std::size_t{count} * m.cols), decoded(rows.size());
          REQUIRE(weights.rows(m, r, count, rows.data()).ok());
          std::vector<std::byte> strip;
          const engine::Format* const format = engine::find_format("bitmask-int8");
          format->encode_strip(rows.data(), m.cols, static_cast<int>(count), m.cols, strip);
          format->decode_strip(strip.data(), static_cast<int>(count), m.cols, decoded.data(), m.cols);
          for (std::size_t i = 0; i < rows.size(); ++i) {
            zeros[m.role].first += rows[i] == 0;
            zeros[m.role].second += 1;
            REQUIRE((rows[i] != 0 || decoded[i] == 0));
            // What brings a query into the latent space lies transposed there: its scales are for other runs.
            if (m.role != MatrixRole::kIntoLatent) REQUIRE(decoded[i] == rows[i]);
          }
        }
      }
    }
    CHECK(zeros.size() == (source->config().latent.query_dim > 0 ? 6u : 5u));
    for (const auto& [role, share] : zeros) CHECK(share.first / share.second == Approx(0.6).epsilon(0.03));
  }
}
