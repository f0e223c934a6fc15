// Values with behaviour: what can be called, has attributes of its own, or changes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/text/jinja/value.h"

namespace colonnade::engine::jinja {

class Context;

struct Arguments {
  Values positional;
  std::vector<std::pair<std::string, Value>> named;
};

class Object {
 public:
  Object() = default;
  virtual ~Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  virtual std::string type_name() const = 0;
  /// What printing shows.
  virtual std::string repr() const { return "<" + type_name() + " object>"; }
  virtual bool is_callable() const { return false; }
  virtual Value call(Context& context, Arguments& arguments);
  virtual std::optional<Value> attribute(Context& context, std::string_view name);
  virtual bool is_namespace() const { return false; }
  virtual void set_attribute(Context& context, const std::string& name, Value value);
  /// Lets go of everything it holds, so that objects which hold each other go away.
  virtual void clear() {}

  /// How deep the values nest that it holds for good: letting go of them recurses as deep.
  int depth() const { return depth_; }

 protected:
  explicit Object(int depth) : depth_(depth) {}

 private:
  friend class Context;
  Charge charge_;
  int depth_ = 0;
};

}  // namespace colonnade::engine::jinja
