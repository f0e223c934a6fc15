#include "coordinator/cli/bench_rows.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "coordinator/cli/table_text.h"
#include "engine/base/format_text.h"
#include "engine/base/json.h"
#include "engine/base/units.h"

namespace colonnade::cli {
namespace {

std::string csv_text(const std::vector<BenchRow>& rows) {
  std::string out =
      "model,weight_bytes,weights,sparsity,structure,kernels,weights_in,ranks,threads,test,batch,tokens_per_second,deviation,"
      "predicted_tokens_per_second,bytes_per_step,gigabytes_per_second,fraction_of_read_bandwidth,read_gigabytes_per_second,ratio\n";
  for (const BenchRow& row : rows)
    out += text(quoted(row.model), print(",%.0f,", row.weight_bytes), quoted(row.weights), print(",%.4f,", row.sparsity), row.structure,
                ",", row.kernels, ",", row.place, ",", row.n_ranks, ",", row.threads, ",", row.test, ",", row.batch,
                print(",%.4f,%.4f,%.4f,%.0f,%.4f,%.4f,%.4f,%.4f\n", row.tokens_per_second.mean(), row.tokens_per_second.deviation(),
                      row.predicted, row.bytes_per_step, row.bytes_per_second / 1e9, row.fraction_of_read, row.read_bytes_per_second / 1e9, row.ratio));
  return out;
}

std::string json_text(const std::vector<BenchRow>& rows) {
  OrderedJson all = OrderedJson::array();
  for (const BenchRow& row : rows)
    all.push_back({{"model", row.model}, {"weight_bytes", row.weight_bytes}, {"weights", row.weights}, {"sparsity", row.sparsity},
                   {"structure", row.structure}, {"kernels", row.kernels}, {"weights_in", row.place}, {"ranks", row.n_ranks},
                   {"threads", row.threads}, {"test", row.test}, {"batch", row.batch},
                   {"tokens_per_second", row.tokens_per_second.mean()}, {"deviation", row.tokens_per_second.deviation()},
                   {"predicted_tokens_per_second", row.predicted}, {"bytes_per_step", row.bytes_per_step}, {"gigabytes_per_second", row.bytes_per_second / 1e9},
                   {"fraction_of_read_bandwidth", row.fraction_of_read},
                   {"read_gigabytes_per_second", row.read_bytes_per_second / 1e9}, {"ratio", row.ratio}});
  return all.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

std::string markdown_text(const std::vector<BenchRow>& rows) {
  std::string out =
      "| model | size | weights | zeros | read from | ranks x threads | test | batch | tokens/s | predicted | GB/s | of read bandwidth | ratio to first |\n"
      "| --- | ---: | --- | --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n";
  for (const BenchRow& row : rows) {
    const std::string zeros = row.structure == "dense" ? "0 %" : print("%.4g %% ", 100 * row.sparsity) + row.structure;
    out += text("| ", row.model, " | ", format_bytes(static_cast<std::uint64_t>(row.weight_bytes)), " | ", row.weights, " | ", zeros, " | ",
                row.place, " | ", row.n_ranks, " x ", row.threads, " ", row.kernels, " | ", row.test, " | ", row.batch,
                print(" | %.2f ± %.2f | ", row.tokens_per_second.mean(), row.tokens_per_second.deviation()),
                row.predicted > 0 ? print("%.1f | ", row.predicted) : " | ",
                row.bytes_per_step > 0 ? print("%.1f | %.2f", row.bytes_per_second / 1e9, row.fraction_of_read) : " | ",
                print(" | %.3f |\n", row.ratio));
  }
  return out;
}

}  // namespace

double Series::mean() const {
  if (values.empty()) return 0;
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double Series::deviation() const {
  if (values.size() < 2) return 0;
  double sum = 0;
  for (const double value : values) sum += (value - mean()) * (value - mean());
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::string rows_text(const std::vector<BenchRow>& rows, const std::string& format) {
  if (format == "json") return json_text(rows);
  return format == "csv" ? csv_text(rows) : markdown_text(rows);
}

}  // namespace colonnade::cli
