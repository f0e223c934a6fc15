// Which packed format a matrix gets: of those that store the values that the user asked for, the one whose predicted time is
// least, for a token of an answer and one of a prompt. Pure functions of the weights, the cost table and the instruction set.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/formats/format.h"
#include "shard/format_costs.h"

namespace colonnade::shard {

/// The dense format of the values that `format` stores: int8 of bitmask-int8. A sparse format's name ends in "-<values>".
engine::FormatId values_of(engine::FormatId format);

/// The dense formats' names, which are the choices of --values, and the sparse ones' that --format takes as well.
std::vector<std::string> value_names();
std::vector<std::string> format_names();

/// What the user asked for, and what is known about the machine.
struct FormatRules {
  engine::FormatId values = engine::FormatId::kBf16;        // a dense format: of attention and feed-forward
  engine::FormatId head_values = engine::FormatId::kBf16;   // of the head, also of the embedding when they are tied
  std::optional<engine::FormatId> forced = {};              // of attention and feed-forward: nothing is chosen
  std::string isa = "scalar";
  const FormatCosts* costs = nullptr;                       // nullptr: the built-in ones
  bool prompts_only = false;                                // an encoder's: it gives no answers
};

/// The same values for all, chosen by the built-in costs of the best instruction set of this machine.
FormatRules format_rules(engine::FormatId values);

/// The formats from which `rules` lets a matrix choose.
std::vector<engine::FormatId> candidate_formats(const FormatRules& rules, bool is_head);

/// A format that a matrix could have.
struct FormatOffer {
  engine::FormatId format = engine::FormatId::kF32;
  double bytes = 0;    // of the matrix
  double seconds = 0;  // of one core, to decode one token
  double prompt_seconds = 0;  // of one core, for one of many tokens of a prompt
};

/// Offers for a matrix of `rows` rows and `cols` columns, the fastest first (the smaller one where they are equal): the one that
/// needs least for a token of an answer and one of a prompt together, or with `prompts_only` for the latter and a 32nd of the former. A candidate of which the table knows no cost comes last, in the order of bytes. Never empty when there is a candidate.
std::vector<FormatOffer> compare_formats(const FormatRules& rules, std::span<const engine::FormatId> candidates,
                                         std::uint32_t rows, std::uint32_t cols, std::span<const double> strip_bytes);

/// Bytes of a strip in each candidate: the mean over `n_strips` sampled strips of 16 rows, (16 * n_strips, cols).
std::vector<double> sampled_strip_bytes(std::span<const engine::FormatId> candidates, const float* weights,
                                        std::size_t n_strips, std::uint32_t cols);

/// The same where no weights are at hand, by Format::expected_strip_bytes.
std::vector<double> expected_strip_bytes(std::span<const engine::FormatId> candidates, std::uint32_t cols,
                                         const engine::Zeros& zeros);

}  // namespace colonnade::shard
