// Whole models: small ones of random weights, pruned, packed and run.
#include "shard/prune/prune_model.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <fstream>
#include <map>

#include "engine/base/aligned_buffer.h"
#include "engine/base/json.h"
#include "shard/blob.h"
#include "shard/pack.h"
#include "shard/model_source.h"
#include "shard/source_model.h"
#include "tests/shard/prune/model_weights.h"
#include "tests/shard/prune/pruned_folders.h"
#include "tests/support/golden.h"

using namespace colonnade;
using namespace colonnade::shard;
using namespace colonnade::tests;

namespace {

PruneOptions options_for(const std::filesystem::path& source, std::size_t n_windows = 12) {
  const auto model = SourceModel::open(source);
  REQUIRE(model.ok());
  PruneOptions options;
  options.windows = some_windows(model->config().vocab_size, n_windows);
  options.rules.refit = true;
  options.threads = 2;
  return options;
}

PruneReport prune(const std::filesystem::path& source, const std::filesystem::path& out, const PruneOptions& options) {
  const auto report = prune_model(source, out, options);
  if (!report.ok()) FAIL(report.error().message);
  return *report;
}

std::vector<float> logits_of(const std::filesystem::path& folder, engine::FormatId values, const std::vector<std::int32_t>& tokens) {
  worker::LocalRanksOptions exact;
  exact.kv_type = engine::KvType::kF32;
  TestJob job(packed_model(folder, values), 1, 1, exact);
  return job.logits(tokens, 0);
}

}  // namespace

TEST_CASE("a sparsity of zero changes no weight of any family") {
  for (const char* family : {"llama", "llama3", "mistral", "qwen2", "qwen3", "mixtral", "qwen3_moe", "llama_sparse_bitmask", "phi3",
                             "gemma2", "gemma3", "olmoe", "granitemoe", "qwen2_moe", "glm4_moe", "gpt_oss", "deepseek_v2", "deepseek_v3"}) {
    CAPTURE(family);
    const auto out = new_folder(std::string("prune-none-") + family);
    PruneOptions options = options_for(golden_folder(family));
    options.rules.sparsity = 0;
    options.rules.refit = false;
    options.layout = PrunedLayout::kDense;
    prune(golden_folder(family), out, options);
    { const bool same = all_weights(out) == all_weights(golden_folder(family)); CHECK(same); }
    const Golden golden = read_golden(golden_folder(family));
    CHECK(max_difference(logits_of(out, engine::FormatId::kBf16, golden.tokens), golden.logits) < 1e-3);
  }
}

TEST_CASE("every family is pruned to what was asked for, and better than by magnitude") {
  for (const char* family : {"llama3", "qwen2", "qwen3", "mixtral", "qwen3_moe", "deepseek_v2", "deepseek_v3"}) {
    CAPTURE(family);
    const auto source = golden_folder(family);
    const Golden golden = read_golden(source);
    std::map<PruneMethod, double> error;
    for (const PruneMethod method : {PruneMethod::kMagnitude, PruneMethod::kSparseGpt}) {
      const auto out = new_folder(std::string("prune-") + prune_method_name(method) + "-" + family);
      PruneOptions options = options_for(source, 40);
      options.rules.method = method;
      options.rules.refit = method != PruneMethod::kMagnitude;
      options.windows.push_back(golden.tokens);
      const PruneReport report = prune(source, out, options);
      double zeros = 0;
      all_weights(out, &zeros);
      CHECK(zeros == Approx(0.5).epsilon(0.02));
      CHECK(static_cast<double>(report.kept) / static_cast<double>(report.weights) == Approx(1 - zeros).epsilon(1e-3));
      error[method] = rms_difference(logits_of(out, engine::FormatId::kBf16, golden.tokens), golden.logits);
    }
    CHECK(error[PruneMethod::kSparseGpt] < error[PruneMethod::kMagnitude]);
  }
}

TEST_CASE("blocks of four that are zero stay blocks where they are packed") {
  for (const char* family : {"llama3", "phi3", "qwen2", "qwen3_moe", "glm4_moe", "gpt_oss", "bert", "deepseek_v2"}) {
    CAPTURE(family);
    const auto source = golden_folder(family);
    const auto out = new_folder(std::string("prune-blocks-") + family);
    PruneOptions options = options_for(source, 40);
    options.rules.structure = *parse_structure("1x4");
    options.rules.sparsity = 0.75;
    prune(source, out, options);
    const auto packed = pack_model(out, new_folder(std::string("packed-blocks-") + family), {});
    if (!packed.ok()) FAIL(packed.error().message);
    engine::ZeroCount all;
    for (const PathSpec& path : packed->paths) {
      if (!is_projection(path.kind)) continue;
      for (const MatrixSpec& m : path.matrices) {
        CAPTURE(path_title(path), static_cast<int>(m.role), m.cols, m.zeros.density);
        // Stored with its rows as columns, by which it is pruned.
        if (m.role == MatrixRole::kIntoLatent) continue;
        // A shorter last block has fewer weights than others.
        if (m.cols % 4 == 0) CHECK(m.zeros.block_density == Approx(m.zeros.density).margin(1e-9));
        all.blocks += std::uint64_t{m.rows} * ((m.cols + 3) / 4);
        all.kept_blocks += static_cast<std::uint64_t>(std::llround(m.zeros.block_density * m.rows * ((m.cols + 3) / 4)));
      }
    }
    CHECK(static_cast<double>(all.kept_blocks) / static_cast<double>(all.blocks) == Approx(0.25).epsilon(0.05));
  }
}

TEST_CASE("the sparse-bitmask layout holds the same numbers as the dense one") {
  const auto source = golden_folder("qwen3_moe");
  PruneOptions options = options_for(source);
  options.rules.sparsity = 0.7;
  const auto dense = new_folder("prune-dense"), bitmask = new_folder("prune-bitmask");
  prune(source, dense, options);
  options.layout = PrunedLayout::kBitmask;
  prune(source, bitmask, options);
  { const bool same = all_weights(dense) == all_weights(bitmask); CHECK(same); }
  CHECK(contents(bitmask).at("config.json").find("sparse-bitmask") != std::string::npos);
  std::uintmax_t dense_bytes = 0, bitmask_bytes = 0;
  for (const auto& [name, content] : contents(dense)) dense_bytes += content.size();
  for (const auto& [name, content] : contents(bitmask)) bitmask_bytes += content.size();
  CHECK(bitmask_bytes < dense_bytes);
  // A sparse source is pruned further, and becomes dense with zeros again.
  const auto again = new_folder("prune-again");
  options.layout = PrunedLayout::kDense;
  options.rules.sparsity = 0.8;
  prune(bitmask, again, options);
  double zeros = 0;
  all_weights(again, &zeros);
  CHECK(zeros == Approx(0.8).epsilon(0.02));
  CHECK(contents(again).at("config.json").find("quantization_config") == std::string::npos);
}

TEST_CASE("an interrupted prune goes on where it was, with the same bytes in the end") {
  for (const RateRule rates : {RateRule::kUniform, RateRule::kOwl}) {
    const auto source = golden_folder("mistral");  // three layers
    PruneOptions options = options_for(source);
    options.rates = rates;
    options.rules.values = PrunedValues::kInt4;
    const auto whole = new_folder("prune-whole"), parts = new_folder("prune-parts");
    prune(source, whole, options);
    for (const int layers : {1, 1}) {
      options.stop_after_layers = layers;
      const auto stopped = prune_model(source, parts, options);
      REQUIRE_FALSE(stopped.ok());
      CHECK(stopped.error().code == ErrorCode::kCancelled);
      // It is not taken for a model.
      CHECK_FALSE(SourceModel::open(parts).ok());
    }
    options.stop_after_layers = -1;
    // What a kill in the middle of writing leaves.
    std::ofstream(parts / "model-00003-of-00004.safetensors.tmp") << "half";
    options.threads = 1;
    const PruneReport report = prune(source, parts, options);
    CHECK(report.resumed_layers == 2);
    { const bool same = contents(parts) == contents(whole); CHECK(same); }
  }
}

TEST_CASE("a prune that was killed while it wrote its first note begins anew") {
  const auto source = golden_folder("llama");
  const PruneOptions options = options_for(source);
  const auto out = new_folder("prune-first-note");
  std::filesystem::create_directories(out);
  std::ofstream(out / ".pruning.lock") << "";
  std::ofstream(out / ".pruning.json.tmp") << "{\"ta";
  prune(source, out, options);
  const auto whole = new_folder("prune-whole");
  prune(source, whole, options);
  { const bool same = contents(out) == contents(whole); CHECK(same); }
}

TEST_CASE("outliers are looked for once: a run that goes on takes those that were noted") {
  const auto source = golden_folder("mistral");  // three layers
  PruneOptions options = options_for(source);
  options.rates = RateRule::kOwl;
  const auto out = new_folder("prune-note");
  options.stop_after_layers = 0;
  REQUIRE_FALSE(prune_model(source, out, options).ok());
  const auto path = out / ".pruning.json";
  auto note = Json::parse(std::ifstream(path));
  const auto shares = Json::parse(note["note"].get<std::string>());
  REQUIRE(shares.size() == 3);
  for (const Json& share : shares) CHECK((share.get<double>() > 0 && share.get<double>() < 0.5));
  // Others than it would find.
  const std::vector<double> noted{0.25, 0.0, 0.125};
  for (const char* const broken : {"[0.25, 0]", "[0.25, 0, 2]", "[0.25, 0, \"0\"]", "[0.25, 0, 0.125", "{}", "[0.25, 0, 0.125, 0]"}) {
    CAPTURE(broken);
    note["note"] = broken;
    std::ofstream(path) << note.dump();
    const auto report = prune_model(source, out, options);
    REQUIRE_FALSE(report.ok());
    CHECK(report.error().code == ErrorCode::kCorrupt);
    CHECK(report.error().message.find("3 layers") != std::string::npos);
  }
  note["note"] = Json(noted).dump();
  std::ofstream(path) << note.dump();
  options.stop_after_layers = -1;
  const PruneReport report = prune(source, out, options);
  const std::vector<double> weights(3, static_cast<double>(report.weights) / 3);  // its layers are alike
  CHECK(report.rates == layer_rates(RateRule::kOwl, options.rules.sparsity, options.rate_spread, weights, noted));
}

TEST_CASE("rates differ between layers and keep the mean") {
  const std::vector<double> weights{1, 1, 2}, outliers{0.1, 0.3, 0.2};
  const auto owl = layer_rates(RateRule::kOwl, 0.7, 0.08, weights, outliers);
  CHECK(owl[0] > owl[2]);
  CHECK(owl[2] > owl[1]);
  CHECK((owl[0] + owl[1] + 2 * owl[2]) / 4 == Approx(0.7));
  CHECK(owl[0] - owl[1] == Approx(0.16));
  const auto atp = layer_rates(RateRule::kAtp, 0.5, 0.1, weights, {});
  CHECK(atp[1] - atp[0] == Approx(atp[2] - atp[1]));
  CHECK(atp[2] - atp[0] == Approx(0.2));
  CHECK((atp[0] + atp[1] + 2 * atp[2]) / 4 == Approx(0.5));
  CHECK(layer_rates(RateRule::kUniform, 0.5, 0.1, weights, {}) == std::vector<double>(3, 0.5));
  for (const double rate : layer_rates(RateRule::kAtp, 0.97, 0.5, weights, {})) CHECK((rate > 0 && rate < 1));
}

TEST_CASE("experts that calibration hardly reached are named, and pruned all the same") {
  const auto source = golden_folder("mixtral");
  PruneOptions options = options_for(source, 1);
  options.windows = {{1, 2, 3}};
  const auto out = new_folder("prune-weak");
  const PruneReport report = prune(source, out, options);
  REQUIRE_FALSE(report.weak_experts.empty());
  CHECK(report.weak_experts.front().find("layer 0, expert 0: ") == 0);
  double zeros = 0;
  all_weights(out, &zeros);
  CHECK(zeros == Approx(0.5).epsilon(0.02));
}

TEST_CASE("a layer at a time is in memory, and no more than was stated") {
  // The demo model: five layers, of which all together would take three times as much as is stated without its activations.
  const auto source = source_folder() / "deploy/demo";
  PruneOptions options = options_for(source, 4);
  const PruneReport report = prune(source, new_folder("prune-peak"), options);
  CHECK(report.peak_bytes > 0);
  CHECK(report.peak_bytes <= report.stated_bytes);
  CHECK(report.resumed_layers == 0);
}

TEST_CASE("what cannot be done is said before anything is written") {
  const auto source = golden_folder("llama");
  PruneOptions options = options_for(source);
  const auto out = new_folder("prune-refused");
  const auto message = [&](const PruneOptions& with) {
    const auto report = prune_model(source, out, with);
    REQUIRE_FALSE(report.ok());
    return report.error().message;
  };
  PruneOptions bad = options;
  bad.windows.clear();
  CHECK(message(bad).find("calibration") != std::string::npos);
  bad.windows = {{1, 100000}};
  CHECK(message(bad).find("100000") != std::string::npos);
  bad.windows = {std::vector<std::int32_t>(5000, 1)};
  CHECK(message(bad).find("5000") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(out));
  std::filesystem::create_directories(out);
  std::ofstream(out / "notes.txt") << "mine";
  CHECK(message(options).find("notes.txt") != std::string::npos);
  std::filesystem::remove(out / "notes.txt");
  options.stop_after_layers = 1;
  message(options);
  options.rules.sparsity = 0.6;
  CHECK(message(options).find("other options") != std::string::npos);
  // Nothing needs calibration text for magnitude.
  bad = options_for(source);
  bad.windows.clear();
  bad.rules.method = PruneMethod::kMagnitude;
  bad.rules.refit = false;
  prune(source, new_folder("prune-refused"), bad);
}

TEST_CASE("weights that were rounded while pruning keep their values when they are packed") {
  for (const auto& [values, format] : {std::pair{PrunedValues::kInt8, "int8"}, {PrunedValues::kInt4, "int4"}}) {
    for (const double sparsity : {0.5, 0.9}) {
      CAPTURE(format, sparsity);
      const auto source = source_folder() / "deploy/demo";
      PruneOptions options = options_for(source, 4);
      options.rules.values = values;
      options.rules.sparsity = sparsity;
      const auto out = new_folder("prune-rounded"), packed = new_folder("prune-rounded-packed");
      prune(source, out, options);
      PackOptions pack;
      pack.values = engine::find_format(format)->id();
      pack.threads = 2;
      const auto manifest = pack_model(out, packed, pack);
      if (!manifest.ok()) FAIL(manifest.error().message);
      const auto model = SourceModel::open(out);
      std::size_t sparse = 0, matrices = 0;
      for (const PathSpec& path : manifest->paths) {
        if (!is_projection(path.kind)) continue;
        std::vector<char> blob(path.bytes);
        std::ifstream file(packed / manifest->blob_files[path.file].name, std::ios::binary);
        file.seekg(static_cast<std::streamoff>(path.offset)).read(blob.data(), static_cast<std::streamsize>(blob.size()));
        REQUIRE(file);
        const auto* bytes = reinterpret_cast<const std::byte*>(blob.data());
        const auto strips = locate_strips(path, {bytes, blob.size()});
        REQUIRE(strips.ok());
        for (const StripPlace& place : *strips) {
          const MatrixSpec& m = path.matrices[place.strip.matrix];
          const std::uint32_t first = place.strip.strip * 16, count = std::min<std::uint32_t>(16, m.rows - first);
          std::vector<float> expected(std::size_t{count} * m.cols), found(expected.size());
          REQUIRE(model->weights_of(path).rows(m, first, count, expected.data()).ok());
          // Formats want aligned strips.
          AlignedBuffer<std::byte> strip(place.bytes);
          std::copy_n(bytes + place.offset, place.bytes, strip.data());
          engine::find_format(m.format)->decode_strip(strip.data(), static_cast<int>(count), m.cols, found.data(), m.cols);
          const bool kept = found == expected;
          CAPTURE(static_cast<int>(m.role), engine::find_format(m.format)->name());
          REQUIRE(kept);
        }
        for (const MatrixSpec& m : path.matrices) {
          ++matrices;
          sparse += std::string(engine::find_format(m.format)->name()).find('-') != std::string::npos;
        }
      }
      CHECK(sparse == matrices);
    }
  }
}
