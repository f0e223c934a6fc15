#include "coordinator/cli/quality_rows.h"

#include <algorithm>
#include <numeric>

#include "coordinator/cli/table_text.h"
#include "engine/base/format_text.h"

namespace colonnade::cli {
namespace {

/// 4.31 MB: three digits, decimal like bandwidths.
std::string megabytes(double bytes) {
  return bytes >= 999.5e6 ? print("%.3g GB", bytes / 1e9) : bytes >= 999.5e3 ? print("%.3g MB", bytes / 1e6) : print("%.3g kB", bytes / 1e3);
}

std::string csv_text(const std::vector<QualityRow>& rows) {
  std::string out =
      "name,kind,structure,values,asked_sparsity,sparsity,bytes_per_token,packed_bytes,weights,perplexity,perplexity_error,mean_nll,"
      "bits_per_byte,tokens,kl_divergence,kl_divergence_error,top_1_agreement,on_front\n";
  const std::vector<bool> front = pareto_front(rows);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const QualityRow& row = rows[i];
    out += text(quoted(row.name), ",", row.kind, ",", row.structure, ",", row.values, print(",%.6g,%.6f,%.0f,", row.asked_sparsity, row.sparsity, row.bytes_per_token),
                row.packed_bytes, ",", quoted(row.weights),
                print(",%.6f,%.6f,%.7f,%.6f,", row.perplexity, row.perplexity_error, row.mean_nll, row.bits_per_byte), row.tokens, ",",
                row.distance ? print("%.7f,%.7f,%.6f", row.distance->kl_divergence, row.distance->kl_divergence_error, row.distance->top_1_agreement) : ",,",
                front[i] ? ",1\n" : ",0\n");
  }
  return out;
}

std::string json_text(const std::vector<QualityRow>& rows, const QualityFacts& facts) {
  OrderedJson all = OrderedJson::array();
  const std::vector<bool> front = pareto_front(rows);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    all.push_back(row_json(rows[i]));
    all.back()["on_front"] = static_cast<bool>(front[i]);
  }
  const OrderedJson whole = {{"facts", facts.lines}, {"points", facts.n_points}, {"rows", all}};
  return whole.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

std::string markdown_row(const QualityRow& row, const QualityRow& first, bool comparable, bool on_front) {
  const std::string zeros = row.structure == "dense" ? print("%.1f %%", 100 * row.sparsity) : print("%.1f %% ", 100 * row.sparsity) + row.structure;
  std::string out = text("| ", row.name, " | ", zeros, " | ", megabytes(row.bytes_per_token), " | ", megabytes(static_cast<double>(row.packed_bytes)), " | ",
                         row.weights, print(" | %.2f ± %.2f | ", row.perplexity, row.perplexity_error));
  out += comparable ? print("%+.2f %%", 100 * (row.perplexity / first.perplexity - 1)) : "other tokens";
  out += print(" | %.4f | ", row.bits_per_byte);
  out += row.distance ? print("%.4f ± %.4f | %.1f %%", row.distance->kl_divergence, row.distance->kl_divergence_error, 100 * row.distance->top_1_agreement)
                      : " | ";
  return out + (on_front ? " | yes |\n" : " | |\n");
}

std::string markdown_text(const std::vector<QualityRow>& rows, const QualityFacts& facts) {
  std::string out;
  for (const std::string& line : facts.lines) out += text("- ", line, "\n");
  if (rows.size() < facts.n_points) out += text("- **Not finished: ", rows.size(), " of ", facts.n_points, " points.**\n");
  if (rows.empty()) return out;
  out += text("\n| model | zeros | read a token | files | weights | perplexity | to ", rows.front().name,
              " | bits per byte | KL divergence, nats | same likeliest token | best of its size |\n"
              "| --- | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | --- |\n");
  const std::vector<bool> front = pareto_front(rows);
  for (std::size_t i = 0; i < rows.size(); ++i)
    out += markdown_row(rows[i], rows.front(), rows[i].text_id == rows.front().text_id, front[i]);
  return out;
}

/// Reads members of one type each; remembers the first that is wrong.
class Reader {
 public:
  explicit Reader(const Json& json) : json_(json) {}

  void operator()(const char* key, std::string& out) {
    if (const Json* const at = find(key, at_string)) out = at->get<std::string>();
  }
  void operator()(const char* key, double& out) {
    if (const Json* const at = find(key, at_number)) out = at->get<double>();
  }
  void operator()(const char* key, std::uint64_t& out) {
    if (const Json* const at = find(key, at_count)) out = at->get<std::uint64_t>();
  }
  const std::string& wrong() const { return wrong_; }

 private:
  static bool at_string(const Json& value) { return value.is_string(); }
  static bool at_number(const Json& value) { return value.is_number(); }
  static bool at_count(const Json& value) { return value.is_number_unsigned(); }

  const Json* find(const char* key, bool (*fits)(const Json&)) {
    const auto at = json_.find(key);
    if (at != json_.end() && fits(*at)) return &*at;
    if (wrong_.empty()) wrong_ = key;
    return nullptr;
  }

  const Json& json_;
  std::string wrong_;
};

}  // namespace

OrderedJson row_json(const QualityRow& row) {
  OrderedJson json = {{"name", row.name}, {"kind", row.kind}, {"structure", row.structure}, {"values", row.values},
                      {"asked_sparsity", row.asked_sparsity}, {"sparsity", row.sparsity}, {"bytes_per_token", row.bytes_per_token},
                      {"packed_bytes", row.packed_bytes}, {"weights", row.weights}, {"perplexity", row.perplexity},
                      {"perplexity_error", row.perplexity_error}, {"mean_nll", row.mean_nll}, {"bits_per_byte", row.bits_per_byte},
                      {"tokens", row.tokens}, {"text_id", row.text_id}};
  if (row.distance)
    json.update({{"kl_divergence", row.distance->kl_divergence}, {"kl_divergence_error", row.distance->kl_divergence_error},
                 {"top_1_agreement", row.distance->top_1_agreement}});
  return json;
}

Result<QualityRow> parse_row(const Json& json, const std::string& where) {
  if (!json.is_object()) return Error{ErrorCode::kCorrupt, text(where, ": expected an object")};
  QualityRow row;
  Reader read(json);
  read("name", row.name);
  read("kind", row.kind);
  read("structure", row.structure);
  read("values", row.values);
  read("asked_sparsity", row.asked_sparsity);
  read("sparsity", row.sparsity);
  read("bytes_per_token", row.bytes_per_token);
  read("packed_bytes", row.packed_bytes);
  read("weights", row.weights);
  read("perplexity", row.perplexity);
  read("perplexity_error", row.perplexity_error);
  read("mean_nll", row.mean_nll);
  read("bits_per_byte", row.bits_per_byte);
  read("tokens", row.tokens);
  read("text_id", row.text_id);
  if (json.contains("kl_divergence")) {
    QualityDistance& distance = row.distance.emplace();
    read("kl_divergence", distance.kl_divergence);
    read("kl_divergence_error", distance.kl_divergence_error);
    read("top_1_agreement", distance.top_1_agreement);
  }
  if (!read.wrong().empty()) return Error{ErrorCode::kCorrupt, text(where, ": expected a result with \"", read.wrong(), "\"")};
  return row;
}

std::vector<bool> pareto_front(const std::vector<QualityRow>& rows) {
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (rows[a].bytes_per_token != rows[b].bytes_per_token) return rows[a].bytes_per_token < rows[b].bytes_per_token;
    return rows[a].bits_per_byte < rows[b].bits_per_byte;
  });
  std::vector<bool> front(rows.size());
  double best = 0;
  for (std::size_t n = 0; n < order.size(); ++n) {
    const double bits = rows[order[n]].bits_per_byte;
    if (n > 0 && !(bits < best)) continue;
    best = bits;
    front[order[n]] = true;
  }
  return front;
}

bool same_text(const std::vector<QualityRow>& rows) {
  return std::all_of(rows.begin(), rows.end(), [&](const QualityRow& row) { return row.text_id == rows.front().text_id; });
}

std::string quality_text(const std::vector<QualityRow>& rows, const QualityFacts& facts, const std::string& format) {
  if (format == "json") return json_text(rows, facts);
  return format == "csv" ? csv_text(rows) : markdown_text(rows, facts);
}

}  // namespace colonnade::cli
