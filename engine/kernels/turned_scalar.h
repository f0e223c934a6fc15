// What turned activations (strips_turned.inl.h) need beside the vector type: the specification.
#pragma once

#include "engine/kernels/kernels.h"
#include "engine/kernels/simd_scalar.h"
#include "engine/kernels/turned_step.h"

namespace colonnade::engine::scalar {

struct Turned {
  using I = Simd::I;
  /// With fewer tokens rows are multiplied as they are; and with fewer strips, where they would be turned for one product.
  static constexpr int kLeastTokens = 32;
  static constexpr std::uint32_t kLeastStrips = 0xffffffff, kLeastGapStrips = 0xffffffff;

  template <int Window>
  static void unpack(const Simd::Indices& index, const Simd::Values& values, unsigned base, UnpackedStep& to) {
    for (int i = 0; i < 64; ++i) {
      to.places[i] = static_cast<std::uint16_t>(((index.v[i] & (Window - 1u)) + base) % kWideGroup << kPlaceBits);
      to.values[i] = values.v[i];
    }
  }

  /// sums[v], lane i gains what token 16 v + i has in four columns times their values.
  template <int Vectors>
  static void add_lines(I (&sums)[Vectors], const std::uint8_t* lines, const std::uint16_t* places, const std::int8_t* values) {
    for (int entry = 0; entry < 4; ++entry) {
      const std::uint8_t* line = lines + (std::size_t{places[entry]} >> kPlaceBits) * kTurnedTokens;
      for (int t = 0; t < 16 * Vectors; ++t)
        sums[t / 16].v[t % 16] += static_cast<std::uint32_t>(values[entry] * static_cast<std::int32_t>(line[turned_byte(t)]));
    }
  }

  static void unpack_quads(const Simd::QuadIndices& index, const Simd::Values& values, UnpackedStep& to) {
    for (int lane = 0; lane < 16; ++lane) to.places[lane] = static_cast<std::uint16_t>(index.v[lane] << kQuadPlaceBits);
    for (int i = 0; i < 64; ++i) to.values[i] = values.v[i];
  }

  /// Four lines become the quads of their tokens.
  static void interleave(const std::uint8_t* lines, std::uint8_t* to) {
    for (std::size_t t = 0; t < kTurnedTokens; ++t)
      for (std::size_t column = 0; column < 4; ++column) to[4 * t + column] = lines[column * kTurnedTokens + turned_byte(static_cast<int>(t))];
  }

  /// add_lines() with four neighbouring columns that are interleaved.
  template <int Vectors>
  static void add_quad(I (&sums)[Vectors], const std::uint8_t* quads, const std::int8_t* values) {
    for (int t = 0; t < 16 * Vectors; ++t)
      for (int column = 0; column < 4; ++column)
        sums[t / 16].v[t % 16] += static_cast<std::uint32_t>(values[column] * static_cast<std::int32_t>(quads[4 * t + column]));
  }

  /// The lines of all columns of a group.
  static void turn_rows(const std::uint8_t* const (&rows)[kTurnedTokens], TurnedGroup& to) {
    for (std::size_t column = 0; column < kWideGroup; ++column)
      for (int t = 0; t < kTurnedTokens; ++t) to.lines[column][turned_byte(t)] = rows[t][column];
  }

  /// The quads of all columns of a group.
  static void turn_rows_to_quads(const std::uint8_t* const (&rows)[kTurnedTokens], TurnedGroup& to) {
    for (std::size_t column = 0; column < kWideGroup; column += 4)
      for (std::size_t t = 0; t < kTurnedTokens; ++t) __builtin_memcpy(to.lines[column] + 4 * t, rows[t] + column, 4);
  }

  /// 16 columns of 4 numbers become rows, of which the first `count` are written, or added to what is there.
  template <bool Add>
  static void turn_4(const float* from, std::size_t stride, int count, float* out, std::size_t out_stride) {
    for (std::size_t t = 0; t < 4 && static_cast<int>(t) < count; ++t)
      for (std::size_t column = 0; column < 16; ++column)
        out[t * out_stride + column] = Add ? out[t * out_stride + column] + from[column * stride + t] : from[column * stride + t];
  }

  /// 16 rows of 16 numbers become 16 columns, of which the first `count` are written as rows.
  static void turn_16(const float* from, std::size_t stride, int count, float* out, std::size_t out_stride) {
    for (std::size_t t = 0; t < 16 && static_cast<int>(t) < count; ++t)
      for (std::size_t column = 0; column < 16; ++column) out[t * out_stride + column] = from[column * stride + t];
  }

  /// q + 128 of all tokens.
  static void store_line(std::uint8_t* line, const I (&q)[4]) {
    for (int t = 0; t < kTurnedTokens; ++t) line[turned_byte(t)] = static_cast<std::uint8_t>(q[t / 16].v[t % 16] + 128u);
  }
};

}  // namespace colonnade::engine::scalar
