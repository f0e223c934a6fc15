#include "coordinator/cli/bench_case.h"

#include <algorithm>
#include <utility>

#include "coordinator/cli/bench_steps.h"
#include "coordinator/cli/format_settings.h"
#include "coordinator/cli/plan_machines.h"
#include "coordinator/cli/plan_prediction.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/base/units.h"
#include "shard/model_source.h"

namespace colonnade::cli {
namespace {

// Far beyond any share of an L3.
constexpr std::uint64_t kReadBytesEach = std::uint64_t{256} << 20;
constexpr double kReadSeconds = 0.15;

double read_bandwidth(const std::vector<int>& cpus) { return engine::measure_read_bandwidth(cpus, kReadBytesEach, kReadSeconds); }

/// Sequences and their lengths that the KV cache is for.
int pages_needed(const BenchOptions& bench, bool encoder) {
  if (encoder) return std::max(1, bench.max_step_tokens / bench.decode_tokens) * pages_of(bench.decode_tokens);
  return std::max(pages_of(bench.prefill_tokens), bench.decode_tokens > 0 ? bench.largest_batch() * pages_of(bench.decode_tokens) : 0);
}

/// CPUs of each rank: the first threads of its place.
std::vector<std::vector<int>> cpus_of_ranks(const engine::Topology& topology, const Layout& layout) {
  std::vector<std::vector<int>> ranks;
  for (const engine::RankPlacement& place : engine::place_ranks(topology, layout.n_ranks)) {
    ranks.push_back(place.cpus);
    ranks.back().resize(std::min(place.cpus.size(), static_cast<std::size_t>(layout.threads)));
  }
  return ranks;
}

/// Of a packed model, whose zeros are where they are: nearer to whole blocks than to anywhere, as rounding adds some.
engine::Sparsity sparsity_of(const engine::Zeros& zeros) {
  const double middle = (zeros.density + engine::Zeros::anywhere(zeros.density).block_density) / 2;
  return {.density = zeros.density, .in_blocks = zeros.density < 1 && zeros.block_density < middle};
}

}  // namespace

Result<Subject> open_subject(const BenchOptions& bench) {
  COLONNADE_ASSIGN(shard::OpenedModel opened, shard::open_model(bench.model, bench.values, bench.cache));
  Subject subject;
  subject.packed = std::move(opened.manifest);
  subject.directory = std::move(opened.directory);
  subject.sparsity = sparsity_of(projection_zeros(subject.packed.paths));
  return subject;
}

Result<Subject> make_subject(const BenchOptions& bench, const std::string& shape, const engine::Sparsity& sparsity) {
  Subject subject;
  subject.sparsity = sparsity;
  COLONNADE_ASSIGN(subject.synthetic, shard::SyntheticModel::make(
                                          shape, {.rules = bench.formats.rules, .sparsity = sparsity, .max_layers = bench.max_layers}));
  return subject;
}

Result<std::unique_ptr<BenchCase>> BenchCase::make(std::shared_ptr<const Subject> subject, const Layout& layout,
                                                   const BenchOptions& bench, const engine::Topology& topology) {
  std::unique_ptr<BenchCase> made(new BenchCase(std::move(subject), layout, bench));
  const shard::Manifest& manifest = made->subject_->manifest();
  const bool encoder = manifest.config.encoder;
  const int longest = encoder ? bench.decode_tokens : std::max(bench.prefill_tokens, bench.decode_tokens);
  if (encoder && (longest == 0 || longest > bench.max_step_tokens))
    return Error{ErrorCode::kInvalidArgument, text("--tg: expected 1 to --max-step-tokens ", bench.max_step_tokens,
                                                   " for the sequences of an encoder, found ", longest)};
  if (longest > manifest.config.max_context_tokens)
    return Error{ErrorCode::kInvalidArgument, text("--pp and --tg: expected at most the model's context of ",
                                                   manifest.config.max_context_tokens, " tokens, found ", longest)};
  const std::vector<std::vector<int>> cpus = cpus_of_ranks(topology, layout);
  for (const std::vector<int>& of_rank : cpus) made->cpus_.insert(made->cpus_.end(), of_rank.begin(), of_rank.end());
  made->rank_cpus_ = cpus;
  std::sort(made->cpus_.begin(), made->cpus_.end());
  made->cpus_.erase(std::unique(made->cpus_.begin(), made->cpus_.end()), made->cpus_.end());
  std::vector<shard::RankMachine> machines;
  for (const std::vector<int>& of_rank : cpus)
    machines.push_back({.l3_bytes = engine::l3_share_bytes(topology, of_rank, made->cpus_)});
  shard::PlanOptions options;
  options.n_stages = bench.n_stages;
  options.kv_tokens = static_cast<std::uint64_t>(pages_needed(bench, encoder)) * engine::kPageTokens;
  options.kv_type = bench.kv_type;
  options.max_step_tokens = bench.max_step_tokens;
  COLONNADE_ASSIGN(made->plan_, shard::make_plan(manifest.config, manifest.paths, machines, options));
  made->make_tests();
  return made;
}

void BenchCase::make_tests() {
  const shard::Manifest& manifest = subject_->manifest();
  const bool encoder = manifest.config.encoder;
  if (bench_.prefill_tokens > 0 && !encoder) tests_.push_back({Kind::kPrefill, bench_.prefill_tokens, 1});
  if (bench_.decode_tokens > 0)
    for (const int batch : bench_.batches) tests_.push_back({encoder ? Kind::kEncode : Kind::kDecode, bench_.decode_tokens, batch});
  BenchRow row;
  row.model = manifest.name;
  for (const shard::RankPlan& rank : plan_.ranks) row.weight_bytes += static_cast<double>(rank.weight_bytes);
  row.weights = format_summary(manifest.paths, false);
  row.sparsity = 1 - subject_->sparsity.density;
  row.structure = engine::structure_name(subject_->sparsity);
  row.place = std::all_of(plan_.ranks.begin(), plan_.ranks.end(), [](const shard::RankPlan& r) { return r.in_l3; }) ? "L3" : "memory";
  row.n_ranks = layout_.n_ranks;
  row.threads = layout_.threads;
  for (const Test& test : tests_) {
    row.test = text(test.kind == Kind::kPrefill ? "pp" : test.kind == Kind::kDecode ? "tg" : "enc", test.n_tokens);
    row.batch = test.batch;
    row.bytes_per_step = test.kind != Kind::kDecode ? 0
                                                    : step_weight_bytes(manifest, plan_, test.batch) +
                                                          step_kv_bytes(manifest.config, bench_.kv_type, test.n_tokens, test.batch);
    rows_.push_back(row);
  }
  fractions_.resize(tests_.size());
  reads_.resize(tests_.size());
}

std::uint64_t BenchCase::memory_bytes() const {
  std::uint64_t bytes = 0;
  for (const shard::RankPlan& rank : plan_.ranks) bytes += rank.total_bytes();
  return bytes;
}

std::string BenchCase::description() const {
  std::uint64_t weights = 0, kv = 0;
  for (const shard::RankPlan& rank : plan_.ranks) {
    weights += rank.weight_bytes;
    kv += rank.kv_bytes;
  }
  const shard::Manifest& manifest = subject_->manifest();
  return text(manifest.name, ", ", format_summary(manifest.paths, true), ", ", layout_.n_ranks, layout_.n_ranks == 1 ? " rank x " : " ranks x ",
              layout_.threads, layout_.threads == 1 ? " thread: " : " threads: ", format_bytes(memory_bytes()), " of memory (weights ",
              format_bytes(weights), ", KV cache ", format_bytes(kv), "), ",
              format_bytes(static_cast<std::uint64_t>(step_weight_bytes(manifest, plan_, 1))), " read a token",
              rows_.front().place == "L3" ? ", resident in L3" : "");
}

Status BenchCase::start() {
  const shard::Manifest& manifest = subject_->manifest();
  worker::LocalRanksOptions options;
  options.kv_type = bench_.kv_type;
  options.n_pages = pages_needed(bench_, manifest.config.encoder);
  options.max_step_tokens = bench_.max_step_tokens;
  options.threads_per_rank = layout_.threads;
  if (cpus_.size() == static_cast<std::size_t>(layout_.n_ranks) * static_cast<std::size_t>(layout_.threads)) options.cpus = cpus_;
  options.isa = bench_.isa;
  const worker::SliceProvider slices =
      subject_->synthetic ? worker::SliceProvider([this](int rank, const shard::SliceLayout& slice) {
        return subject_->synthetic->slice(plan_.ranks[static_cast<std::size_t>(rank)], slice, layout_.threads);
      })
                          : worker::slices_of(manifest, subject_->directory);
  COLONNADE_ASSIGN(ranks_, worker::LocalRanks::start(manifest, plan_, slices, options));
  log_info(text("kernels: ", ranks_->kernels(), !options.cpus.empty() ? ", one pinned core a thread" : ", more threads than cores: not pinned"));
  for (BenchRow& row : rows_) row.kernels = ranks_->kernels();
  return {};
}

Status BenchCase::measure_once() {
  const int vocab_size = subject_->manifest().config.vocab_size;
  double before = read_bandwidth(cpus_);
  for (std::size_t i = 0; i < tests_.size(); ++i) {
    const Test& test = tests_[i];
    const auto seconds = test.kind == Kind::kPrefill  ? time_prefill(*ranks_, test.n_tokens, bench_.max_step_tokens, vocab_size)
                         : test.kind == Kind::kDecode ? time_decode(*ranks_, test.n_tokens, test.batch, vocab_size)
                                                      : time_encode(*ranks_, test.n_tokens, test.batch, bench_.max_step_tokens, vocab_size);
    if (!seconds.ok()) return seconds.error();
    const double after = read_bandwidth(cpus_), read = (before + after) / 2;
    before = after;
    BenchRow& row = rows_[i];
    row.tokens_per_second.values.push_back(test.n_tokens * test.batch / *seconds);
    row.bytes_per_second = row.bytes_per_step * row.tokens_per_second.mean() / test.batch;
    if (read > 0) {
      fractions_[i].values.push_back(row.bytes_per_step * test.n_tokens / *seconds / read);
      reads_[i].values.push_back(read);
    }
    row.fraction_of_read = median(fractions_[i].values);
    row.read_bytes_per_second = median(reads_[i].values);
  }
  return {};
}

void BenchCase::stop() {
  ranks_.reset();
  const shard::Manifest& manifest = subject_->manifest();
  if (manifest.config.encoder) return;
  std::vector<double> reads;
  for (const Series& of_test : reads_) reads.insert(reads.end(), of_test.values.begin(), of_test.values.end());
  const shard::FormatCosts* const costs = bench_.formats.rules.costs;
  for (std::size_t i = 0; i < tests_.size() && !reads.empty(); ++i) {
    const double read = reads_[i].values.empty() ? median(reads) : median(reads_[i].values);
    const shard::Cluster cluster = shard::local_cluster(rank_cpus_, read);
    const shard::PredictionInput input{manifest.config, manifest.paths, plan_, bench_.kv_type, cluster,
                                       costs == nullptr ? shard::built_in_costs() : *costs, bench_.formats.rules.isa};
    const Test& test = tests_[i];
    const bool prompt = test.kind == Kind::kPrefill;
    // Answers begin at position 0: on average their context is half of them.
    rows_[i].predicted = predict_rows(input, prompt ? std::vector<int>{} : std::vector{test.batch},
                                      static_cast<std::uint64_t>(test.batch) * static_cast<std::uint64_t>(test.n_tokens + 1) / 2,
                                      prompt ? test.n_tokens : 0, bench_.max_step_tokens).front().tokens_per_second;
  }
}

}  // namespace colonnade::cli
