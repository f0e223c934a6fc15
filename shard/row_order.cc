#include "shard/row_order.h"

#include <utility>
#include <vector>

namespace colonnade::shard {
namespace {

using Inner = std::shared_ptr<const RowReader>;

/// Where the file has number `i` of all heads.
std::uint64_t turned(std::uint64_t i, std::uint64_t head_dim) {
  const std::uint64_t half = head_dim / 2, within = i % head_dim;
  return i - within + within % half * 2 + within / half;
}

class RowsFrom final : public RowReader {
 public:
  RowsFrom(Inner inner, std::uint64_t first) : inner_(std::move(inner)), first_(first) {}
  Status read(std::uint64_t row, std::uint64_t first_col, std::uint64_t n_cols, float* out) const override {
    return inner_->read(first_ + row, first_col, n_cols, out);
  }

 private:
  Inner inner_;
  std::uint64_t first_;
};

class TurnedRows final : public RowReader {
 public:
  TurnedRows(Inner inner, std::uint64_t head_dim) : inner_(std::move(inner)), head_dim_(head_dim) {}
  Status read(std::uint64_t row, std::uint64_t first_col, std::uint64_t n_cols, float* out) const override {
    return inner_->read(turned(row, head_dim_), first_col, n_cols, out);
  }

 private:
  Inner inner_;
  std::uint64_t head_dim_;
};

class TurnedValues final : public RowReader {
 public:
  TurnedValues(Inner inner, std::uint64_t count, std::uint64_t head_dim) : inner_(std::move(inner)), count_(count), head_dim_(head_dim) {}
  Status read(std::uint64_t row, std::uint64_t first_col, std::uint64_t n_cols, float* out) const override {
    std::vector<float> all(count_);
    COLONNADE_TRY(inner_->read(row, 0, count_, all.data()));
    for (std::uint64_t i = 0; i < n_cols; ++i) out[i] = all[turned(first_col + i, head_dim_)];
    return {};
  }

 private:
  Inner inner_;
  std::uint64_t count_, head_dim_;
};

/// Which of two a number of both joined is of, and which there.
struct JoinedPlace {
  bool second;
  std::uint64_t at;
};
JoinedPlace joined_place(std::uint64_t i, std::uint64_t n, bool interleaved) {
  if (interleaved) return {i % 2 != 0, i / 2};
  return {i >= n, i % n};
}

class JoinedRows final : public RowReader {
 public:
  JoinedRows(Inner first, Inner second, std::uint64_t n, bool interleaved) : first_(std::move(first)), second_(std::move(second)), n_(n), interleaved_(interleaved) {}
  Status read(std::uint64_t row, std::uint64_t first_col, std::uint64_t n_cols, float* out) const override {
    const JoinedPlace place = joined_place(row % (2 * n_), n_, interleaved_);
    return (place.second ? second_ : first_)->read(row / (2 * n_) * n_ + place.at, first_col, n_cols, out);
  }

 private:
  Inner first_, second_;
  std::uint64_t n_;
  bool interleaved_;
};

class JoinedValues final : public RowReader {
 public:
  JoinedValues(Inner first, Inner second, std::uint64_t n, bool interleaved) : first_(std::move(first)), second_(std::move(second)), n_(n), interleaved_(interleaved) {}
  Status read(std::uint64_t row, std::uint64_t first_col, std::uint64_t n_cols, float* out) const override {
    std::vector<float> both(2 * n_);
    COLONNADE_TRY(first_->read(row, 0, n_, both.data()));
    COLONNADE_TRY(second_->read(row, 0, n_, both.data() + n_));
    for (std::uint64_t i = 0; i < n_cols; ++i) {
      const JoinedPlace place = joined_place(first_col + i, n_, interleaved_);
      out[i] = both[(place.second ? n_ : 0) + place.at];
    }
    return {};
  }

 private:
  Inner first_, second_;
  std::uint64_t n_;
  bool interleaved_;
};

class LatentHeadRows final : public RowReader {
 public:
  LatentHeadRows(Inner keys, Inner values, LatentHeads sizes) : keys_(std::move(keys)), values_(std::move(values)), sizes_(sizes) {}
  Status read(std::uint64_t row, std::uint64_t first_col, std::uint64_t n_cols, float* out) const override {
    const std::uint64_t head = row / (sizes_.plain + sizes_.value), within = row % (sizes_.plain + sizes_.value);
    if (within >= sizes_.plain) return values_->read(head * sizes_.value + within - sizes_.plain, first_col, n_cols, out);
    for (std::uint64_t i = 0; i < n_cols; ++i) COLONNADE_TRY(keys_->read(head * sizes_.latent + first_col + i, within, 1, out + i));
    return {};
  }

 private:
  Inner keys_, values_;
  LatentHeads sizes_;
};

class ShiftedValues final : public RowReader {
 public:
  ShiftedValues(Inner inner, float offset) : inner_(std::move(inner)), offset_(offset) {}
  Status read(std::uint64_t row, std::uint64_t first_col, std::uint64_t n_cols, float* out) const override {
    COLONNADE_TRY(inner_->read(row, first_col, n_cols, out));
    for (std::uint64_t i = 0; i < n_cols; ++i) out[i] += offset_;
    return {};
  }

 private:
  Inner inner_;
  float offset_;
};

}  // namespace

std::shared_ptr<const RowReader> joined_rows(Inner first, Inner second, std::uint64_t n, bool interleaved) {
  return std::make_shared<JoinedRows>(std::move(first), std::move(second), n, interleaved);
}

std::shared_ptr<const RowReader> joined_values(Inner first, Inner second, std::uint64_t n, bool interleaved) {
  return std::make_shared<JoinedValues>(std::move(first), std::move(second), n, interleaved);
}

std::shared_ptr<const RowReader> latent_head_rows(Inner keys, Inner values, LatentHeads sizes) {
  return std::make_shared<LatentHeadRows>(std::move(keys), std::move(values), sizes);
}

std::shared_ptr<const RowReader> shifted_values(Inner inner, float offset) { return std::make_shared<ShiftedValues>(std::move(inner), offset); }

std::shared_ptr<const RowReader> rows_from(Inner inner, std::uint64_t first) { return std::make_shared<RowsFrom>(std::move(inner), first); }

std::shared_ptr<const RowReader> turned_rows(Inner inner, std::uint64_t head_dim) {
  return std::make_shared<TurnedRows>(std::move(inner), head_dim);
}

std::shared_ptr<const RowReader> turned_values(Inner inner, std::uint64_t count, std::uint64_t head_dim) {
  return std::make_shared<TurnedValues>(std::move(inner), count, head_dim);
}

}  // namespace colonnade::shard
