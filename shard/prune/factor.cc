#include "shard/prune/factor.h"

#include <algorithm>
#include <cmath>

namespace colonnade::shard {
namespace {

/// A tile of the result: few rows, so that their copy stays in L2, times many columns, so that copying pays.
constexpr std::size_t kTileRows = kGramTileRows, kTileCols = 768;
/// Columns of the factor that are found at a time.
constexpr std::size_t kBlock = 128;

/// Calls work(i0, i1, j0, j1) for tiles that cover rows [first, last) of the upper triangle of an n x n matrix, shared out over the team.
template <typename Work>
void for_upper_tiles(Parallel& team, std::size_t first, std::size_t last, std::size_t n, const Work& work) {
  team.run([&](int thread) {
    std::size_t index = 0;
    for (std::size_t i = first; i < last; i += kTileRows) {
      for (std::size_t j = i; j < n; j += kTileCols, ++index) {
        if (index % static_cast<std::size_t>(team.size()) != static_cast<std::size_t>(thread)) continue;
        work(i, std::min(i + kTileRows, last), j, std::min(j + kTileCols, n));
      }
    }
  });
}

/// The diagonal block [j0, j0 + count) of H = R * transposed(R), R upper: in double, in place.
bool factor_block(FloatMatrix& h, std::size_t j0, std::size_t count) {
  std::vector<double> block(count * count);
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t j = i; j < count; ++j) block[i * count + j] = h.row(j0 + i)[j0 + j];
  for (std::size_t j = count; j-- > 0;) {
    const double pivot = block[j * count + j];
    if (!(pivot > 0) || !std::isfinite(pivot)) return false;
    const double root = std::sqrt(pivot);
    block[j * count + j] = root;
    for (std::size_t i = 0; i < j; ++i) block[i * count + j] /= root;
    for (std::size_t i = 0; i < j; ++i)
      for (std::size_t k = i; k < j; ++k) block[i * count + k] -= block[i * count + j] * block[k * count + j];
  }
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t j = i; j < count; ++j) h.row(j0 + i)[j0 + j] = static_cast<float>(block[i * count + j]);
  return true;
}

/// Columns [begin, end) of panel (count, j0) = transposed(R[0 … j0)[block]), from that part of H.
void solve_panel(const Compute& compute, const FloatMatrix& h, std::size_t j0, std::size_t count, std::size_t begin,
                 std::size_t end, FloatMatrix& panel) {
  for (std::size_t i = begin; i < end; ++i)
    for (std::size_t t = 0; t < count; ++t) panel.row(t)[i] = h.row(i)[j0 + t];
  for (std::size_t t = count; t-- > 0;) {
    float* const row = panel.row(t) + begin;
    for (std::size_t s = t + 1; s < count; ++s)
      compute.kernels.add_scaled(row, panel.row(s) + begin, -h.row(j0 + t)[j0 + s], end - begin);
    compute.kernels.scale(row, 1.0f / h.row(j0 + t)[j0 + t], end - begin);
  }
}

/// One block of columns: its factor, then H of the columns before it.
bool eliminate(const Compute& compute, FloatMatrix& h, std::size_t j0, std::size_t count, FloatMatrix& panel,
               FloatMatrix& negative) {
  if (!factor_block(h, j0, count)) return false;
  if (j0 == 0) return true;
  compute.team.run([&](int thread) {
    const Range share = part_of(j0, thread, compute.team.size(), 256);
    for (std::size_t begin = share.begin; begin < share.end; begin += 256) {
      const std::size_t end = std::min(begin + 256, share.end);
      solve_panel(compute, h, j0, count, begin, end, panel);
      for (std::size_t t = 0; t < count; ++t)
        for (std::size_t i = begin; i < end; ++i) {
          negative.row(t)[i] = -panel.row(t)[i];
          h.row(i)[j0 + t] = panel.row(t)[i];
        }
    }
  });
  for_upper_tiles(compute.team, 0, j0, j0, [&](std::size_t i, std::size_t i_end, std::size_t j, std::size_t j_end) {
    compute.kernels.add_product({negative.data() + i, negative.cols(), panel.data() + j, panel.cols(),
                                 h.row(i) + j, h.cols(), i_end - i, j_end - j, count});
  });
  return true;
}

}  // namespace

void add_gram(const Compute& compute, const float* x, std::size_t stride, std::size_t n_tokens, FloatMatrix& gram,
              std::size_t first_row) {
  for_upper_tiles(compute.team, first_row, first_row + gram.rows(), gram.cols(),
                  [&](std::size_t i, std::size_t i_end, std::size_t j, std::size_t j_end) {
                    compute.kernels.add_product({x + i, stride, x + j, stride, gram.row(i - first_row) + j, gram.cols(), i_end - i,
                                                 j_end - j, n_tokens});
                  });
}

void mirror_upper(const Compute& compute, FloatMatrix& matrix) {
  constexpr std::size_t kSquare = 32;  // rows of both sides stay in L1
  const std::size_t n = matrix.cols(), squares = (n + kSquare - 1) / kSquare;
  compute.team.run([&](int thread) {
    for (std::size_t s = static_cast<std::size_t>(thread); s < squares; s += static_cast<std::size_t>(compute.team.size())) {
      const std::size_t i0 = s * kSquare, i1 = std::min(i0 + kSquare, n);
      for (std::size_t j0 = 0; j0 <= i0; j0 += kSquare)
        for (std::size_t i = i0; i < i1; ++i)
          for (std::size_t j = j0; j < std::min(j0 + kSquare, i); ++j) matrix.row(i)[j] = matrix.row(j)[i];
    }
  });
}

bool factor_upper(const Compute& compute, FloatMatrix matrix, Factor& out) {
  const std::size_t n = matrix.cols();
  MemoryMeter panels;  // small beside the matrix
  FloatMatrix panel(panels, kBlock, n), negative(panels, kBlock, n);
  // From the last block to the first, which has the rest in front.
  for (std::size_t end = n; end > 0;) {
    const std::size_t count = end % kBlock == 0 ? kBlock : end % kBlock;
    end -= count;
    if (!eliminate(compute, matrix, end, count, panel, negative)) return false;
  }
  out.variance.resize(n);
  std::vector<float> inverse(n);
  for (std::size_t j = 0; j < n; ++j) {
    const float root = matrix.row(j)[j];
    out.variance[j] = root * root;
    inverse[j] = 1.0f / root;
  }
  compute.team.run([&](int thread) {
    for (std::size_t i = static_cast<std::size_t>(thread); i < n; i += static_cast<std::size_t>(compute.team.size())) {
      float* const row = matrix.row(i);
      for (std::size_t j = i; j < n; ++j) row[j] *= inverse[j];
    }
  });
  out.feedback = std::move(matrix);
  return true;
}

void add_damping(FloatMatrix& matrix, double share) {
  double trace = 0;
  for (std::size_t i = 0; i < matrix.cols(); ++i) trace += matrix.row(i)[i];
  const double mean = trace / static_cast<double>(matrix.cols());
  const double added = mean > 0 ? share * mean : 1.0;
  for (std::size_t i = 0; i < matrix.cols(); ++i)
    matrix.row(i)[i] = static_cast<float>(matrix.row(i)[i] + added);
}

}  // namespace colonnade::shard
