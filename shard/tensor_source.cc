#include "shard/tensor_source.h"

#include "engine/base/format_text.h"

namespace colonnade::shard {

Result<TensorRows> TensorSource::find(const std::string& name, const Shape& expected) const {
  COLONNADE_ASSIGN(TensorRows found, open(name));
  if (found.shape() != expected)
    return Error{ErrorCode::kCorrupt, text("tensor ", name, " in ", found.file(), ": expected shape ", shape_text(expected),
                                           ", found ", shape_text(found.shape()))};
  return found;
}

}  // namespace colonnade::shard
