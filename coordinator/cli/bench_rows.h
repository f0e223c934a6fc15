// The rows that colonnade bench prints, and their three forms. Pure.
#pragma once

#include <string>
#include <vector>

namespace colonnade::cli {

/// Repeated measurements of one thing.
struct Series {
  std::vector<double> values;

  double mean() const;
  double deviation() const;  // of the sample; 0 with fewer than two values
};

/// 0 when empty; the mean of the middle two of an even number.
double median(std::vector<double> values);

struct BenchRow {
  std::string model;
  double weight_bytes = 0;        // of all ranks
  std::string weights;            // "bitmask-int4 3.06 bits, head int4 4.25 bits"
  double sparsity = 0;            // zeros in attention and feed-forward, 0 … 1
  std::string structure;
  std::string kernels;            // "avx512"
  std::string place;              // where weights are read from: "memory" or "L3"
  int n_ranks = 1;
  int threads = 1;                // of a rank
  std::string test;               // "tg128"
  int batch = 1;
  Series tokens_per_second;
  double predicted = 0;           // tokens a second, as plan predicts them at the read bandwidth of this run; 0: not told
  double bytes_per_step = 0;      // that all ranks read: weights, head and KV cache included; 0: not told (prefill)
  double bytes_per_second = 0;
  double fraction_of_read = 0;    // median over the runs of bytes_per_second over the read bandwidth around that run
  double read_bytes_per_second = 0;  // median of that bandwidth
  double ratio = 1;               // to the first row of the same test and batch: median over pairs of runs
};

/// Markdown, "csv" or "json"; ends with a line end.
std::string rows_text(const std::vector<BenchRow>& rows, const std::string& format);

}  // namespace colonnade::cli
