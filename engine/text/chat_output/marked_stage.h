// The base of everything that reads a stream with markers in it: finds them wherever the stream is cut.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "engine/text/chat_output/output_sink.h"

namespace colonnade::engine {

/// One stage of an output parser.
class OutputStage {
 public:
  virtual ~OutputStage() = default;
  virtual void text(std::string_view piece) = 0;
  virtual void special(std::string_view spelling) = 0;
  virtual void finish() = 0;
  /// Whether this special token begins a tool call: then nothing else can go on, not even open reasoning.
  virtual bool opens_call(std::string_view) const { return false; }
};

/// A marker counts where markers() lists it, spelled in the text or as one special token.
class MarkedStage : public OutputStage {
 public:
  explicit MarkedStage(OutputSink& sink) : sink_(sink) {}

  void text(std::string_view piece) final;
  void special(std::string_view spelling) final;
  void finish() final;

 protected:
  using Markers = std::span<const std::string_view>;

  /// Those that count in the present state. None is a part of another.
  virtual Markers markers() const = 0;
  /// Takes text without markers and says how much of it; less than all (maybe nothing) only when the state changed.
  virtual std::size_t on_text(std::string_view text) = 0;
  virtual void on_marker(std::string_view marker) = 0;
  /// A special token that is no marker now: no text either.
  virtual void on_special(std::string_view) {}
  virtual void on_end() = 0;

  OutputSink& sink() { return sink_; }

 private:
  void drain(bool all);

  OutputSink& sink_;
  std::string buffer_;  // text that nobody has taken; between calls only what may begin a marker
};

}  // namespace colonnade::engine
