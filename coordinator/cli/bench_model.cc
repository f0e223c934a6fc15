#include "coordinator/cli/bench_model.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/json.h"
#include "engine/base/log.h"
#include "engine/base/units.h"
#include "engine/platform/topology.h"
#include "shard/model_source.h"
#include "shard/plan.h"
#include "shard/synthetic.h"
#include "worker/local_ranks.h"

namespace colonnade::cli {
namespace {

struct Layout {
  int n_ranks = 1;
  int threads = 1;  // of a rank
};

/// What is measured; times are of whole runs.
struct Series {
  std::vector<double> tokens_per_second;

  double mean() const {
    double sum = 0;
    for (const double value : tokens_per_second) sum += value;
    return sum / static_cast<double>(tokens_per_second.size());
  }
  double deviation() const {
    if (tokens_per_second.size() < 2) return 0;
    double sum = 0;
    for (const double value : tokens_per_second) sum += (value - mean()) * (value - mean());
    return std::sqrt(sum / static_cast<double>(tokens_per_second.size() - 1));
  }
};

struct Case {
  Layout layout;
  std::unique_ptr<shard::Plan> plan;  // at a fixed address, which the ranks keep
  std::unique_ptr<worker::LocalRanks> ranks;
  std::vector<int> cpus;
  Series prefill, decode;
  std::vector<double> bandwidth;      // bytes a second read by the same CPUs, around every run
  std::vector<double> roofline;       // decode bytes a second over that bandwidth
};

struct BenchOptions {
  int prefill_tokens = 0;
  int decode_tokens = 0;
  int max_step_tokens = 0;
  int repetitions = 0;
  engine::KvType kv_type = engine::KvType::kBf16;
  std::string isa;
};

/// "1x2,2x1": ranks x threads of each.
Result<std::vector<Layout>> parse_layouts(const std::string& list, int n_cores) {
  std::vector<Layout> layouts;
  if (list.empty()) return std::vector<Layout>{{1, n_cores}};
  std::string_view rest = list;
  while (!rest.empty()) {
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    Layout layout;
    const char* const end = item.data() + item.size();
    const auto ranks = std::from_chars(item.data(), end, layout.n_ranks);
    const bool separated = ranks.ptr != end && *ranks.ptr == 'x';
    const auto threads = separated ? std::from_chars(ranks.ptr + 1, end, layout.threads) : ranks;
    if (ranks.ec != std::errc{} || !separated || threads.ec != std::errc{} || threads.ptr != end || layout.n_ranks < 1 ||
        layout.threads < 1)
      return Error{ErrorCode::kInvalidArgument, text("--layouts: expected RANKSxTHREADS such as 1x2,2x1, found \"", item, "\"")};
    layouts.push_back(layout);
  }
  return layouts;
}

engine::Step sequence_step(int first_position, int n_tokens, int vocab_size, bool sample) {
  engine::Step step;
  step.sequences = {{0, n_tokens, first_position, 0, (first_position + n_tokens + engine::kPageTokens - 1) / engine::kPageTokens}};
  for (int i = 0; i < n_tokens; ++i) step.tokens.push_back((first_position + i) * 7919 % vocab_size);
  for (int page = 0; page < step.sequences[0].n_pages; ++page) step.pages.push_back(page);
  if (sample) {
    engine::StepRow row;
    row.token_index = n_tokens - 1;
    row.flags = engine::kRowSample;
    step.rows.push_back(row);
  }
  return step;
}

/// Seconds for a prompt of n tokens at positions 0 …, in steps of at most max_step_tokens.
Result<double> time_prefill(worker::LocalRanks& ranks, int n_tokens, int max_step_tokens, int vocab_size) {
  std::vector<engine::Step> steps;
  for (int at = 0; at < n_tokens; at += max_step_tokens) {
    const int count = std::min(max_step_tokens, n_tokens - at);
    steps.push_back(sequence_step(at, count, vocab_size, at + count == n_tokens));
  }
  engine::StepResult result;
  const double start = now_seconds();
  for (const engine::Step& step : steps) COLONNADE_TRY(ranks.run(step, result));
  return now_seconds() - start;
}

/// Seconds for n tokens, one a step, from position 0 on.
Result<double> time_decode(worker::LocalRanks& ranks, int n_tokens, int vocab_size) {
  std::vector<engine::Step> steps;
  for (int i = 0; i < n_tokens; ++i) steps.push_back(sequence_step(i, 1, vocab_size, true));
  engine::StepResult result;
  COLONNADE_TRY(ranks.run(steps.front(), result));
  const double start = now_seconds();
  for (const engine::Step& step : steps) COLONNADE_TRY(ranks.run(step, result));
  return now_seconds() - start;
}

double bytes_of_a_token(const shard::Plan& plan) {
  double bytes = 0;
  for (const shard::RankPlan& rank : plan.ranks) bytes += rank.step_bytes;
  return bytes;
}

/// CPUs that ranks × threads use: the first of each core, as place_ranks hands them out.
std::vector<int> cpus_of(const engine::Topology& topology, const Layout& layout) {
  std::vector<int> cpus;
  for (const engine::RankPlacement& place : engine::place_ranks(topology, layout.n_ranks))
    for (std::size_t i = 0; i < place.cpus.size() && i < static_cast<std::size_t>(layout.threads); ++i) cpus.push_back(place.cpus[i]);
  std::sort(cpus.begin(), cpus.end());
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

double read_bandwidth(const std::vector<int>& cpus) {
  constexpr std::uint64_t kBytesEach = std::uint64_t{256} << 20;  // far beyond any L3 share
  return engine::measure_read_bandwidth(cpus, kBytesEach, 0.2);
}

Status measure_once(Case& c, const BenchOptions& bench, int vocab_size) {
  const double before = read_bandwidth(c.cpus);
  if (bench.decode_tokens > 0) {
    COLONNADE_ASSIGN(const double seconds, time_decode(*c.ranks, bench.decode_tokens, vocab_size));
    const double rate = bench.decode_tokens / seconds;
    c.decode.tokens_per_second.push_back(rate);
    const double after = read_bandwidth(c.cpus);
    c.bandwidth.push_back((before + after) / 2);
    c.roofline.push_back(rate * bytes_of_a_token(*c.plan) / c.bandwidth.back());
  } else {
    c.bandwidth.push_back(before);
  }
  if (bench.prefill_tokens > 0) {
    COLONNADE_ASSIGN(const double seconds, time_prefill(*c.ranks, bench.prefill_tokens, bench.max_step_tokens, vocab_size));
    c.prefill.tokens_per_second.push_back(bench.prefill_tokens / seconds);
  }
  return {};
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

struct Line {
  std::string layout, test;
  double rate, deviation, gigabytes, roofline, ratio;  // ratio: median over pairs with the first layout
};

std::vector<Line> lines_of(const std::vector<Case>& cases, const BenchOptions& bench) {
  std::vector<Line> lines;
  const auto ratio = [](const Series& mine, const Series& first) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < mine.tokens_per_second.size(); ++i)
      ratios.push_back(mine.tokens_per_second[i] / first.tokens_per_second[i]);
    return median(ratios);
  };
  for (const Case& c : cases) {
    const std::string layout = text(c.layout.n_ranks, c.layout.n_ranks == 1 ? " rank x " : " ranks x ", c.layout.threads);
    if (!c.prefill.tokens_per_second.empty())
      lines.push_back({layout, text("pp", bench.prefill_tokens), c.prefill.mean(), c.prefill.deviation(), 0, 0,
                       ratio(c.prefill, cases.front().prefill)});
    if (!c.decode.tokens_per_second.empty())
      lines.push_back({layout, text("tg", bench.decode_tokens), c.decode.mean(), c.decode.deviation(),
                       c.decode.mean() * bytes_of_a_token(*c.plan) / 1e9, median(c.roofline), ratio(c.decode, cases.front().decode)});
  }
  return lines;
}

void print_lines(const std::vector<Line>& lines, const std::string& format) {
  if (format == "json") {
    Json rows = Json::array();
    for (const Line& line : lines)
      rows.push_back({{"layout", line.layout}, {"test", line.test}, {"tokens_per_second", line.rate}, {"deviation", line.deviation},
                      {"gigabytes_per_second", line.gigabytes}, {"fraction_of_read_bandwidth", line.roofline}, {"ratio", line.ratio}});
    std::printf("%s\n", dump_json(rows, 1).c_str());
    return;
  }
  const bool csv = format == "csv";
  std::printf(csv ? "layout,test,tokens_per_second,deviation,gigabytes_per_second,fraction_of_read_bandwidth,ratio\n"
                  : "| ranks x threads | test | tokens/s | GB/s | of read bandwidth | ratio to first |\n| --- | --- | --- | --- | --- | --- |\n");
  for (const Line& line : lines) {
    if (csv)
      std::printf("%s,%s,%.3f,%.3f,%.3f,%.4f,%.4f\n", line.layout.c_str(), line.test.c_str(), line.rate, line.deviation,
                  line.gigabytes, line.roofline, line.ratio);
    else if (line.gigabytes > 0)
      std::printf("| %s | %s | %.2f +- %.2f | %.1f | %.2f | %.3f |\n", line.layout.c_str(), line.test.c_str(), line.rate,
                  line.deviation, line.gigabytes, line.roofline, line.ratio);
    else
      std::printf("| %s | %s | %.2f +- %.2f | | | %.3f |\n", line.layout.c_str(), line.test.c_str(), line.rate, line.deviation, line.ratio);
  }
}

/// A model to measure: read from disk, or made up.
struct Subject {
  shard::Manifest manifest;
  std::filesystem::path directory;  // empty: synthetic
};

Result<Subject> open_subject(const Options& options) {
  Subject subject;
  if (const std::string shape = options.text("synthetic"); !shape.empty()) {
    const engine::Format* const format = engine::find_format(options.text("values").empty() ? "int8" : options.text("values"));
    COLONNADE_CHECK(format != nullptr, "the option's choices are formats");
    COLONNADE_ASSIGN(subject.manifest, shard::synthetic_manifest(shape, shard::format_choice(format->id()),
                                                                 static_cast<int>(options.integer("layers"))));
    return subject;
  }
  COLONNADE_ASSIGN(shard::OpenedModel opened, shard::open_model(options.positional("WHAT"), options.text("values"), options.text("cache")));
  subject.manifest = std::move(opened.manifest);
  subject.directory = std::move(opened.directory);
  return subject;
}

}  // namespace

Status bench_model(const Options& options) {
  BenchOptions bench;
  bench.prefill_tokens = static_cast<int>(options.integer("pp"));
  bench.decode_tokens = static_cast<int>(options.integer("tg"));
  bench.max_step_tokens = static_cast<int>(options.integer("max-step-tokens"));
  bench.repetitions = static_cast<int>(options.integer("repetitions"));
  bench.kv_type = *engine::find_kv_type(options.text("kv"));
  bench.isa = options.text("isa");
  COLONNADE_ASSIGN(const engine::Topology topology, engine::read_topology());
  COLONNADE_ASSIGN(const std::vector<Layout> layouts,
                   parse_layouts(options.text("layouts"), static_cast<int>(engine::place_ranks(topology, 1)[0].cpus.size())));
  COLONNADE_ASSIGN(const Subject subject, open_subject(options));
  const int context = std::max({bench.prefill_tokens, bench.decode_tokens, 1});
  if (context > subject.manifest.config.max_context_tokens)
    return Error{ErrorCode::kInvalidArgument, text("--pp and --tg: expected at most the model's context of ",
                                                   subject.manifest.config.max_context_tokens, " tokens, found ", context)};

  std::vector<Case> cases;
  for (const Layout& layout : layouts) {
    Case c;
    c.layout = layout;
    shard::PlanOptions plan_options;
    plan_options.n_stages = static_cast<int>(options.integer("stages"));
    plan_options.kv_tokens = static_cast<std::uint64_t>(context);
    plan_options.kv_type = bench.kv_type;
    plan_options.max_step_tokens = bench.max_step_tokens;
    COLONNADE_ASSIGN(shard::Plan plan, shard::make_plan(subject.manifest.config, subject.manifest.paths,
                                                        std::vector<shard::RankMachine>(static_cast<std::size_t>(layout.n_ranks)), plan_options));
    c.plan = std::make_unique<shard::Plan>(std::move(plan));
    c.cpus = cpus_of(topology, layout);
    worker::LocalRanksOptions ranks;
    ranks.kv_type = bench.kv_type;
    ranks.n_pages = (context + engine::kPageTokens - 1) / engine::kPageTokens;
    ranks.max_step_tokens = bench.max_step_tokens;
    ranks.threads_per_rank = layout.threads;
    ranks.pin = c.cpus.size() == static_cast<std::size_t>(layout.n_ranks * layout.threads);
    ranks.isa = bench.isa;
    const worker::SliceProvider slices =
        subject.directory.empty()
            ? worker::SliceProvider([&](int rank, const shard::SliceLayout& slice) {
                return shard::synthetic_slice(subject.manifest, c.plan->ranks[static_cast<std::size_t>(rank)], slice, layout.threads);
              })
            : worker::slices_of(subject.manifest, subject.directory);
    std::uint64_t memory = 0;
    for (const shard::RankPlan& rank : c.plan->ranks) memory += rank.total_bytes();
    log_info(text(layout.n_ranks, " ranks x ", layout.threads, " threads: ", format_bytes(memory), " of memory, ",
                  format_bytes(static_cast<std::uint64_t>(bytes_of_a_token(*c.plan))), " read a token"));
    COLONNADE_ASSIGN(c.ranks, worker::LocalRanks::start(subject.manifest, *c.plan, slices, ranks));
    log_info(text("kernels: ", c.ranks->kernels(), ranks.pin ? ", one pinned core a thread" : ", more threads than cores: not pinned"));
    cases.push_back(std::move(c));
  }
  for (int repetition = 0; repetition < bench.repetitions; ++repetition)
    for (Case& c : cases) COLONNADE_TRY(measure_once(c, bench, subject.manifest.config.vocab_size));

  std::vector<double> bandwidth;
  for (const Case& c : cases) bandwidth.insert(bandwidth.end(), c.bandwidth.begin(), c.bandwidth.end());
  log_info(text("plain streaming read of the same cores in this run: ", format_rate(median(bandwidth)), " (median)"));
  print_lines(lines_of(cases, bench), options.text("format"));
  return {};
}

}  // namespace colonnade::cli
