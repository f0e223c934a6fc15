#include "shard/safetensors_header.h"

#include "engine/base/format_text.h"
#include "engine/base/json.h"

namespace colonnade::shard {
namespace {

// More dimensions than any weight has.
constexpr std::size_t kMaxDimensions = 8;
// A name that a message can still show.
constexpr std::size_t kMaxNameBytes = 1024;

/// Called by the JSON parser for each piece; returning false stops it with `problem` set.
class HeaderHandler final : public nlohmann::json_sax<Json> {
 public:
  std::vector<HeaderTensor> tensors;
  std::string problem;

  bool start_object(std::size_t) override {
    switch (place_) {
      case Place::kTop:
        place_ = Place::kTensorName;
        return true;
      case Place::kTensor:
        place_ = Place::kField;
        return true;
      case Place::kMetadata:
        place_ = Place::kMetadataKey;
        return true;
      default:
        return unexpected("an object");
    }
  }

  bool key(std::string& name) override {
    if (name.size() > kMaxNameBytes) return fail(text("a name of ", name.size(), " bytes, the limit is ", kMaxNameBytes));
    if (place_ == Place::kTensorName) {
      if (name == "__metadata__") {
        place_ = Place::kMetadata;
        return true;
      }
      tensors.push_back({.name = name, .dtype = {}, .shape = {}});
      seen_ = 0;
      place_ = Place::kTensor;
      return true;
    }
    if (place_ == Place::kMetadataKey) {
      place_ = Place::kMetadataValue;
      return true;
    }
    if (name == "dtype") return field(1, Place::kDtype, name);
    if (name == "shape") return field(2, Place::kShape, name);
    if (name == "data_offsets") return field(4, Place::kOffsets, name);
    return fail(text("tensor ", tensors.back().name, " has an unknown field ", name));
  }

  bool end_object() override {
    switch (place_) {
      case Place::kField:
        if (seen_ != 7) return fail(text("tensor ", tensors.back().name, " lacks dtype, shape or data_offsets"));
        place_ = Place::kTensorName;
        return true;
      case Place::kMetadataKey:
        place_ = Place::kTensorName;
        return true;
      default:
        place_ = Place::kEnd;
        return true;
    }
  }

  bool start_array(std::size_t) override {
    n_numbers_ = 0;
    if (place_ == Place::kShape) place_ = Place::kShapeNumber;
    else if (place_ == Place::kOffsets) place_ = Place::kOffsetNumber;
    else return unexpected("an array");
    return true;
  }

  bool end_array() override {
    if (place_ == Place::kOffsetNumber && n_numbers_ != 2)
      return fail(text("tensor ", tensors.back().name, ": data_offsets has ", n_numbers_, " numbers, expected 2"));
    place_ = Place::kField;
    return true;
  }

  bool string(std::string& value) override {
    if (place_ == Place::kMetadataValue) {
      place_ = Place::kMetadataKey;
      return true;
    }
    if (place_ != Place::kDtype) return unexpected("a string");
    if (value.size() > kMaxNameBytes) return fail("a dtype of absurd length");
    tensors.back().dtype = value;
    place_ = Place::kField;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kShapeNumber) {
      if (++n_numbers_ > kMaxDimensions)
        return fail(text("tensor ", tensors.back().name, " has more than ", kMaxDimensions, " dimensions"));
      tensors.back().shape.push_back(value);
      return true;
    }
    if (place_ == Place::kOffsetNumber) {
      (++n_numbers_ == 1 ? tensors.back().begin : tensors.back().end) = value;
      return n_numbers_ <= 2 || fail(text("tensor ", tensors.back().name, ": data_offsets has more than 2 numbers"));
    }
    return unexpected("a number");
  }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("true or false"); }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const std::string&) override { return unexpected("a fraction or huge number"); }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const Json::exception&) override {
    return fail(text("malformed JSON at byte ", position));
  }

 private:
  enum class Place {
    kTop, kTensorName, kTensor, kField, kDtype, kShape, kShapeNumber, kOffsets, kOffsetNumber,
    kMetadata, kMetadataKey, kMetadataValue, kEnd,
  };

  bool fail(std::string message) {
    if (problem.empty()) problem = std::move(message);
    return false;
  }
  bool unexpected(const char* found) {
    if (place_ == Place::kTop) return fail(text("expected an object, found ", found));
    const bool metadata = place_ >= Place::kMetadata;
    return fail(text(metadata || tensors.empty() ? std::string("__metadata__") : "tensor " + tensors.back().name,
                     ": unexpectedly found ", found));
  }
  bool field(int bit, Place next, const std::string& name) {
    if ((seen_ & bit) != 0) return fail(text("tensor ", tensors.back().name, " has ", name, " twice"));
    seen_ |= bit;
    place_ = next;
    return true;
  }

  Place place_ = Place::kTop;
  int seen_ = 0;  // bits of the fields that the current tensor has had
  std::size_t n_numbers_ = 0;
};

}  // namespace

Result<std::vector<HeaderTensor>> parse_safetensors_json(std::string_view json, std::string_view what) {
  HeaderHandler handler;
  try {
    if (Json::sax_parse(json.begin(), json.end(), &handler)) return std::move(handler.tensors);
  } catch (const std::exception& error) {
    handler.problem = text("malformed JSON: ", error.what());
  }
  return Error{ErrorCode::kCorrupt, text(what, ": safetensors header: ", handler.problem)};
}

}  // namespace colonnade::shard
