// One model in one layout of ranks, measured again and again by colonnade bench.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/cli/bench_options.h"
#include "coordinator/cli/bench_rows.h"
#include "engine/platform/topology.h"
#include "shard/plan.h"
#include "shard/synthetic.h"
#include "worker/local_ranks.h"

namespace colonnade::cli {

/// A model to measure: read from disk, or made up.
struct Subject {
  std::optional<shard::SyntheticModel> synthetic;
  shard::Manifest packed;            // unless synthetic
  std::filesystem::path directory;   // unless synthetic
  engine::Sparsity sparsity;         // of attention and feed-forward

  const shard::Manifest& manifest() const { return synthetic ? synthetic->manifest() : packed; }
};
Result<Subject> open_subject(const BenchOptions& bench);
Result<Subject> make_subject(const BenchOptions& bench, const std::string& shape, const engine::Sparsity& sparsity);

/// Used by one thread. Keeps no weights before start() and after stop().
class BenchCase {
 public:
  /// Plans; kInvalidArgument when the layout or the tokens do not suit the model. `bench` must outlive the object.
  static Result<std::unique_ptr<BenchCase>> make(std::shared_ptr<const Subject> subject, const Layout& layout, const BenchOptions& bench,
                                                 const engine::Topology& topology);

  std::uint64_t memory_bytes() const;
  /// What it is, needs and reads, in one line.
  std::string description() const;

  Status start();
  /// Every test once, each between two measurements of the read bandwidth.
  Status measure_once();
  /// Also predicts every test from the bandwidth that was measured.
  void stop();

  /// One for each test, filled by measure_once().
  const std::vector<BenchRow>& rows() const { return rows_; }

 private:
  enum class Kind { kPrefill, kDecode, kEncode };
  struct Test {
    Kind kind;
    int n_tokens;
    int batch;
  };
  BenchCase(std::shared_ptr<const Subject> subject, const Layout& layout, const BenchOptions& bench)
      : subject_(std::move(subject)), layout_(layout), bench_(bench) {}
  void make_tests();

  std::shared_ptr<const Subject> subject_;
  Layout layout_;
  const BenchOptions& bench_;
  shard::Plan plan_;
  std::vector<std::vector<int>> rank_cpus_;
  std::vector<int> cpus_;  // of all ranks
  std::vector<Test> tests_;
  std::vector<BenchRow> rows_;              // by test
  std::vector<Series> fractions_, reads_;   // by test
  std::unique_ptr<worker::LocalRanks> ranks_;
};

}  // namespace colonnade::cli
