// Quantised safetensors: compressed-tensors, block-scaled fp8, MXFP4.
#include <catch2/catch.hpp>

#include <cmath>

#include "engine/base/json.h"
#include "shard/checkpoint_tensors.h"
#include "shard/float8.h"
#include "shard/gguf_file.h"
#include "shard/quantization_config.h"
#include "shard/stored_model.h"
#include "tests/shard/checkpoint_files.h"
#include "tests/support/skip.h"

using namespace colonnade;
using namespace colonnade::shard;
using namespace colonnade::tests;
using Catch::Matchers::Contains;

namespace {

std::string from_hex(const std::string& hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 3) out.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return out;
}

QuantizationConfig config_of(const std::string& quantization) {
  const auto config = QuantizationConfig::parse("{\"quantization_config\":" + quantization + "}", "config.json");
  INFO((config.ok() ? "" : config.error().message));
  REQUIRE(config.ok());
  return *config;
}

/// compressed-tensors with one group of weights for all modules.
QuantizationConfig linear(const std::string& weights, const std::string& version = "0.14.0") {
  return config_of(R"({"quant_method":"compressed-tensors","format":"pack-quantized","version":")" + version +
                   R"(","config_groups":{"group_0":{"targets":["Linear"],"weights":)" + weights + "}}}");
}

Result<TensorRows> open_weight(std::unique_ptr<const CheckpointTensors>& source, const FileTensors& tensors, const QuantizationConfig& config, const std::string& name) {
  const auto directory = scratch_folder();
  write_file(directory / "model.safetensors", safetensors_bytes(tensors));
  auto opened = CheckpointTensors::open_directory(directory, config);
  REQUIRE(opened.ok());
  source = std::move(*opened);
  return source->open(name);
}

std::vector<float> all_of(const TensorRows& tensor) {
  std::vector<float> out(tensor.rows() * tensor.cols());
  const auto status = tensor.read({0, tensor.rows(), 0, tensor.cols()}, out.data(), tensor.cols());
  INFO((status.ok() ? "" : status.error().message));
  REQUIRE(status.ok());
  return out;
}

std::vector<float> weights(const FileTensors& tensors, const QuantizationConfig& config = {}, const std::string& name = "m.weight") {
  std::unique_ptr<const CheckpointTensors> source;
  const auto tensor = open_weight(source, tensors, config, name);
  INFO((tensor.ok() ? "" : tensor.error().message));
  REQUIRE(tensor.ok());
  return all_of(*tensor);
}

std::string failure(const FileTensors& tensors, const QuantizationConfig& config = {}, const std::string& name = "m.weight") {
  std::unique_ptr<const CheckpointTensors> source;
  const auto tensor = open_weight(source, tensors, config, name);
  REQUIRE_FALSE(tensor.ok());
  CHECK_THAT(tensor.error().message, !Contains("\n"));
  return tensor.error().message;
}

FileTensor f32(std::vector<std::uint64_t> shape, const std::vector<float>& values) { return {"F32", std::move(shape), bytes_of(values)}; }

}  // namespace

TEST_CASE("Eight-bit floats: zeros, subnormals, normals, the largest, NaN") {
  CHECK(e4m3_to_f32(0x38) == 1.0f);
  CHECK(e4m3_to_f32(0x7e) == 448.0f);
  CHECK(e4m3_to_f32(0x01) == std::ldexp(1.0f, -9));
  CHECK(e4m3_to_f32(0x07) == std::ldexp(7.0f, -9));
  CHECK(e4m3_to_f32(0x08) == std::ldexp(1.0f, -6));
  CHECK(e4m3_to_f32(0xc5) == -3.25f);
  CHECK((e4m3_to_f32(0x80) == 0.0f && std::signbit(e4m3_to_f32(0x80))));
  CHECK(std::isnan(e4m3_to_f32(0x7f)));
  CHECK(std::isnan(e4m3_to_f32(0xff)));
  CHECK(e5m2_to_f32(0x3c) == 1.0f);
  CHECK(e5m2_to_f32(0x7b) == 57344.0f);
  CHECK(e8m0_to_f32(127) == 1.0f);
  CHECK(e8m0_to_f32(0) == std::ldexp(1.0f, -127));
  CHECK(e8m0_to_f32(254) == std::ldexp(1.0f, 127));
  CHECK(std::isnan(e8m0_to_f32(255)));
}

TEST_CASE("Every worked example of the specification gives its dense matrix") {
  COLONNADE_SHARED_PATH(path, "data/sparse/worked_examples.json");
  const Json examples = parse_json(read_file(path), "examples").value();
  CHECK(examples.size() == 8);
  for (const Json& e : examples) {
    INFO(e["name"].get<std::string>());
    FileTensors tensors;
    for (const auto& [name, t] : e["tensors"].items())
      tensors[name] = {t["dtype"], t["shape"].get<std::vector<std::uint64_t>>(), from_hex(t["bytes"])};
    std::vector<float> dense;
    for (const Json& row : e["dense"])
      for (const Json& value : row) dense.push_back(value);
    QuantizationConfig config;
    if (!e["weights"].is_null()) {
      const bool late = e["name"].get<std::string>().find("0.18") != std::string::npos;
      config = linear(e["weights"].dump(), late ? "0.18.0" : "0.14.0");
    }
    CHECK(weights(tensors, config) == dense);
  }
}

TEST_CASE("Which scheme a module has: a path beats a pattern, a pattern a class") {
  const auto config = config_of(R"({"quant_method":"compressed-tensors","format":"mixed-precision","ignore":["lm_head"],"config_groups":{
    "a":{"targets":["Linear"],"weights":{"num_bits":8,"strategy":"channel","group_size":null}},
    "b":{"targets":["re:.*down_proj$","re:model.layers.0.*"],"weights":{"num_bits":4,"strategy":"group","group_size":43}},
    "c":{"targets":["model.layers.0.mlp.down_proj"],"weights":{"num_bits":3,"strategy":"block","block_structure":[128,64]}}}})");
  CHECK(config.scheme_of("model.layers.1.mlp.up_proj").bits == 8);
  CHECK(config.scheme_of("model.layers.1.mlp.down_proj").group_size == 43);
  CHECK(config.scheme_of("model.layers.1.mlp.down_proj.more").bits == 8);
  CHECK(config.scheme_of("language.model.layers.0.mlp.up_proj").bits == 8);
  CHECK(config.scheme_of("model.layers.0.mlp.up_proj").bits == 4);
  CHECK(config.scheme_of("model.layers.0.mlp.down_proj").block_cols == 64);
  CHECK(QuantizationConfig().scheme_of("m").bits == 0);
}

TEST_CASE("Scales: one, for each row, in groups, in blocks with rests, by a list of groups; zero points of each kind") {
  const FileTensor codes{"I8", {2, 4}, bytes_of<std::int8_t>({1, 2, -3, 4, 5, -6, 7, 8})};
  using Numbers = std::vector<float>;
  CHECK(weights({{"m.weight", codes}, {"m.weight_scale", f32({1}, {2})}}) == Numbers{2, 4, -6, 8, 10, -12, 14, 16});
  CHECK(weights({{"m.weight", codes}, {"m.weight_scale", f32({}, {2})}}) == Numbers{2, 4, -6, 8, 10, -12, 14, 16});
  CHECK(weights({{"m.weight", codes}, {"m.weight_scale", f32({2, 1}, {2, 10})}}) == Numbers{2, 4, -6, 8, 50, -60, 70, 80});
  CHECK(weights({{"m.weight", codes}, {"m.weight_scale", f32({2, 2}, {1, 2, 3, 4})}}) == Numbers{1, 2, -6, 8, 15, -18, 28, 32});
  CHECK(weights({{"m.weight", codes}, {"m.weight_scale", f32({2, 2}, {1, 2, 3, 4})}, {"m.weight_g_idx", {"I32", {4}, bytes_of<std::int32_t>({1, 0, 0, 1})}}}) ==
        Numbers{2, 2, -3, 8, 20, -18, 21, 32});
  CHECK(weights({{"m.weight", codes}, {"m.weight_scale", f32({2, 2}, {1, 2, 3, 4})}, {"m.weight_g_idx", {"I32", {4}, bytes_of<std::int32_t>({1, -1, 0, 1})}}}) ==
        Numbers{1, 2, -6, 8, 15, -18, 28, 32});
  CHECK(weights({{"m.weight", codes}, {"m.weight_scale", f32({2, 1}, {2, 10})}, {"m.weight_zero_point", {"I8", {2, 1}, bytes_of<std::int8_t>({1, -1})}}}) ==
        Numbers{0, 2, -8, 6, 60, -50, 80, 90});
  // Blocks of 1 x 3: the last column is a rest.
  const auto blocks = config_of(R"({"quant_method":"fp8","weight_block_size":[1,3]})");
  CHECK(weights({{"m.weight", {"F8_E4M3", {2, 4}, from_hex("38 40 b8 38 30 38 40 b8")}}, {"m.weight_scale_inv", f32({2, 2}, {1, 2, 3, 4})}}, blocks) ==
        Numbers{1, 2, -1, 2, 1.5f, 3, 6, -4});
}

TEST_CASE("fp8 and MXFP4 models: every tensor against an independent reading") {
  COLONNADE_SHARED_PATH(folder, "golden/deepseek_v3_fp8");
  const auto source = open_stored_tensors(folder, *read_stored_config(folder));
  REQUIRE(source.ok());
  const auto raw = Checkpoint::open(folder);
  REQUIRE(raw.ok());
  int n_scaled = 0;
  for (const std::string& name : (*source)->names()) {
    CAPTURE(name);
    const auto tensor = (*source)->open(name);
    REQUIRE(tensor.ok());
    const Tensor* stored = raw->find(name);
    REQUIRE(stored != nullptr);
    if (stored->dtype != Dtype::kF8E4M3) continue;
    ++n_scaled;
    const Tensor* scale = raw->find(name + "_scale_inv");
    REQUIRE(scale != nullptr);
    const auto* scales = reinterpret_cast<const float*>(scale->data.data());
    const std::vector<float> ours = all_of(*tensor);
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const int bits = std::to_integer<int>(stored->data[i]), exponent = bits >> 3 & 15, mantissa = bits & 7;
      const double magnitude = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
      const std::size_t row = i / stored->shape[1], col = i % stored->shape[1];
      float s;
      std::memcpy(&s, scales + row / 32 * scale->shape[1] + col / 32, 4);
      REQUIRE(ours[i] == static_cast<float>((bits & 128) != 0 ? -magnitude : magnitude) * s);
    }
  }
  CHECK(n_scaled > 20);
}

TEST_CASE("MXFP4 of gpt-oss and of GGUF are the same weights") {
  COLONNADE_SHARED_PATH(folder, "golden/gpt_oss_mxfp4");
  const auto source = open_stored_tensors(folder, *read_stored_config(folder));
  const auto gguf = GgufFiles::open(folder / "gpt_oss.MXFP4.gguf");
  REQUIRE(source.ok());
  REQUIRE(gguf.ok());
  const auto of_gguf = [&](const std::string& name) {
    const GgufPlacedTensor* tensor = gguf->find(name);
    REQUIRE(tensor != nullptr);
    CHECK(std::string(tensor->type->name) == "MXFP4");
    return all_of(TensorRows(name, "", tensor->shape, {}, gguf_rows(*tensor->type, tensor->data.data(), tensor->shape.back())));
  };
  const auto gate_up = (*source)->open("model.layers.1.mlp.experts.gate_up_proj");
  INFO((gate_up.ok() ? "" : gate_up.error().message));
  REQUIRE(gate_up.ok());
  CHECK(gate_up->form().outputs_first);
  const std::vector<float> both = all_of(*gate_up), gate = of_gguf("blk.1.ffn_gate_exps.weight"), up = of_gguf("blk.1.ffn_up_exps.weight");
  REQUIRE(both.size() == gate.size() + up.size());
  for (std::size_t row = 0; row < gate.size() / 64; ++row)
    for (std::size_t col = 0; col < 64; ++col) {
      REQUIRE(both[2 * row * 64 + col] == gate[row * 64 + col]);
      REQUIRE(both[(2 * row + 1) * 64 + col] == up[row * 64 + col]);
    }
  CHECK(all_of(*(*source)->open("model.layers.1.mlp.experts.down_proj")) == of_gguf("blk.1.ffn_down_exps.weight"));
}

TEST_CASE("Quantised tensors that contradict themselves are refused by name") {
  const FileTensor codes{"I8", {2, 4}, std::string(8, '\1')};
  CHECK_THAT(failure({{"m.weight", codes}}), Contains("module m in model.safetensors") && Contains("m.weight_scale or m.weight_scale_inv"));
  CHECK_THAT(failure({{"m.weight", codes}, {"m.weight_scale", f32({3, 1}, {1, 2, 3})}}), Contains("m.weight_scale in model.safetensors: expected") && Contains("found F32 [3, 1]"));
  CHECK_THAT(failure({{"m.weight", codes}, {"m.weight_scale", f32({2, 3}, {1, 2, 3, 4, 5, 6})}}), Contains("expected [2, 2], found F32 [2, 3]"));
  CHECK_THAT(failure({{"m.weight", codes}, {"m.weight_scale", f32({2, 0}, {})}}), Contains("expected [2, 1], found F32 [2, 0]"));
  CHECK_THAT(failure({{"m.weight", codes}, {"m.weight_scale", {"I32", {1}, "abcd"}}}), Contains("expected F32, F16, BF16") && Contains("found I32"));
  CHECK_THAT(failure({{"m.weight", codes}, {"m.weight_scale", f32({2, 2}, {1, 2, 3, 4})}}, linear(R"({"num_bits":8,"strategy":"group","group_size":3})")),
             Contains("expected a group size that divides its 4 columns, found 3"));
  CHECK_THAT(failure({{"m.weight", codes}, {"m.weight_scale", f32({2, 2}, {1, 2, 3, 4})}, {"m.weight_g_idx", {"I32", {4}, bytes_of<std::int32_t>({0, 1, 2, 0})}}}),
             Contains("m.weight_g_idx") && Contains("column 2: expected a group from 0 to 1, found 2"));
  CHECK_THAT(failure({{"m.weight", codes}, {"m.weight_scale", f32({1}, {1})}, {"m.weight_zero_point", {"I8", {2}, "ab"}}}), Contains("m.weight_zero_point") && Contains("expected I8 [1], found I8 [2]"));
  const FileTensor fp8{"F8_E4M3", {2, 4}, std::string(8, '\1')};
  const auto blocks = config_of(R"({"quant_method":"fp8","weight_block_size":[2,2]})");
  CHECK_THAT(failure({{"m.weight", fp8}, {"m.weight_scale_inv", f32({2, 2}, {1, 2, 3, 4})}}, blocks), Contains("expected [1, 2] for [2, 4] in blocks of 2 x 2, found F32 [2, 2]"));
  CHECK_THAT(failure({{"m.weight", fp8}, {"m.weight_scale_inv", f32({2, 2}, {1, 2, 3, 4})}}), Contains("expected a weight_block_size in quantization_config"));

  const auto int4 = linear(R"({"num_bits":4,"strategy":"channel"})");
  FileTensors packed{{"m.weight_packed", {"I32", {2, 1}, std::string(8, '\1')}}, {"m.weight_scale", f32({2, 1}, {1, 2})}, {"m.weight_shape", {"I64", {2}, bytes_of<std::int64_t>({2, 8})}}};
  CHECK(weights(packed, int4).size() == 16);
  CHECK_THAT(failure(packed), Contains("expected a num_bits of 1 to 8 for it in quantization_config, found none"));
  const auto with = [&](const char* name, FileTensor tensor) {
    FileTensors tensors = packed;
    tensors[name] = std::move(tensor);
    return failure(tensors, int4);
  };
  CHECK_THAT(with("m.weight_shape", {"I64", {2}, bytes_of<std::int64_t>({2, 9})}), Contains("expected I32 [2, 2] for [2, 9] integers of 4 bits, found I32 [2, 1]"));
  CHECK_THAT(with("m.weight_shape", {"I64", {2}, bytes_of<std::int64_t>({-1, 8})}), Contains("m.weight_shape") && Contains("rows and columns"));
  CHECK_THAT(with("m.weight_shape", {"F32", {2}, "12345678"}), Contains("expected I64 [2], found F32 [2]"));
  CHECK_THAT(with("m.weight_zero_point", {"I32", {2, 1}, "12345678"}), Contains("expected I32 [1, 1], found I32 [2, 1]"));
  CHECK_THAT(with("m.meta", {"I32", {1}, "1234"}), Contains("marlin-24"));
  CHECK_THAT(with("m.weight_global_scale", f32({1}, {1})), Contains("nvfp4"));
  packed.erase("m.weight_shape");
  CHECK_THAT(failure(packed, int4), Contains("lacks m.weight_shape"));

  const FileTensor half{"U8", {1, 2, 1, 16}, std::string(32, '\1')};
  CHECK_THAT(failure({{"t_blocks", half}}, {}, "t"), Contains("has t_blocks but lacks t_scales"));
  CHECK_THAT(failure({{"t_blocks", half}, {"t_scales", {"U8", {1, 2, 2}, "abcd"}}}, {}, "t"), Contains("t_scales in model.safetensors: expected U8 [1, 2, 1], found U8 [1, 2, 2]"));
  CHECK_THAT(failure({{"t_blocks", {"U8", {2, 8}, std::string(16, '\1')}}, {"t_scales", {"U8", {2}, "ab"}}}, {}, "t"), Contains("expected U8 of [..., rows, groups, 16], found U8 [2, 8]"));
  const FileTensors sparse{{"m.shape", {"I64", {2, 1}, bytes_of<std::int64_t>({1, 6})}}, {"m.compressed", f32({1, 3}, {1, 2, 3})}, {"m.bitmask", {"U8", {1, 1}, "\7"}}};
  CHECK_THAT(failure(sparse), Contains("expected a multiple of 4 columns, found 6"));
}

TEST_CASE("Layouts that are not read are refused by the configuration's name for them") {
  const auto refused = [](const char* quantization) {
    const auto config = QuantizationConfig::parse(std::string("{\"quantization_config\":") + quantization + "}", "config.json");
    REQUIRE_FALSE(config.ok());
    return config.error().message;
  };
  CHECK(QuantizationConfig::parse("{}", "c").ok());
  CHECK(QuantizationConfig::parse(R"({"quantization_config":null})", "c").ok());
  CHECK(QuantizationConfig::parse(R"({"compression_config":{"quant_method":"compressed-tensors","sparsity_config":{}}})", "c").ok());
  CHECK_THAT(refused(R"({"quant_method":"gptq"})"), Contains("config.json") && Contains("gptq") && Contains("pack-quantized"));
  CHECK_THAT(refused(R"({"quant_method":"compressed-tensors","format":"marlin-24"})"), Contains("marlin-24"));
  CHECK_THAT(refused(R"({"quant_method":"fp8","fmt":"e5m2"})"), Contains("fp8 e5m2"));
  CHECK_THAT(refused(R"({"quant_method":"fp8","weight_block_size":[128]})"), Contains("weight_block_size") && Contains("[128]"));
  CHECK_THAT(refused(R"({"quant_method":"compressed-tensors","config_groups":{"g":{"targets":"Linear","weights":{"num_bits":4}}}})"), Contains("targets"));
  CHECK_THAT(refused(R"({"quant_method":"compressed-tensors","config_groups":{"g":{"targets":["Linear"],"weights":{"num_bits":"4"}}}})"), Contains("num_bits"));
}
