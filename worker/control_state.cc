#include "worker/control_state.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/base/version.h"
#include "engine/kernels/kernels.h"
#include "worker/control_frames.h"

namespace colonnade::worker {
namespace {

constexpr std::size_t kArenaBytes = std::size_t{256} << 10;
// A coordinator that reads nothing while so much piles up is gone.
constexpr std::size_t kMaxPendingBytes = std::size_t{1} << 30;

google::protobuf::ArenaOptions arena_options(std::vector<char>& block) {
  google::protobuf::ArenaOptions options;
  options.initial_block = block.data();
  options.initial_block_size = block.size();
  return options;
}

control::Status::Phase to_proto(JobPhase phase) {
  switch (phase) {
    case JobPhase::kStarting: return control::Status::STARTING;
    case JobPhase::kLoading: return control::Status::LOADING;
    case JobPhase::kReady: return control::Status::READY;
    case JobPhase::kDraining: return control::Status::DRAINING;
    case JobPhase::kFailed: break;
  }
  return control::Status::FAILED;
}

}  // namespace

MessageArena::MessageArena(std::size_t bytes) : block_(bytes), arena_(arena_options(block_)) {}

control::Frame& MessageArena::fresh_frame() {
  arena_.Reset();  // keeps the initial block
  return *google::protobuf::Arena::CreateMessage<control::Frame>(&arena_);
}

ControlState::ControlState(std::string secret, std::function<void()> wake)
    : secret_(std::move(secret)), wake_(std::move(wake)), wake_descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      alone_since_us_(now_us()), incoming_(kArenaBytes), outgoing_(kArenaBytes) {}

ControlState::~ControlState() {
  if (wake_descriptor_ >= 0) ::close(wake_descriptor_);
}

void ControlState::wake_server() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_descriptor_, &one, sizeof one);
}

void ControlState::clear_wake() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(wake_descriptor_, &count, sizeof count);
}

// What the rank's threads call.

void ControlState::set_facts(const JobFacts& facts) {
  const std::lock_guard lock(mutex_);
  facts_ = facts;
  have_facts_ = true;
  greet();
}

void ControlState::set_phase(JobPhase phase, std::string message) {
  const std::lock_guard lock(mutex_);
  phase_ = phase;
  message_ = std::move(message);
  status_changed_ = true;
  phase_told_ = false;
  wake_server();
}

void ControlState::set_loaded(std::uint64_t loaded_bytes, std::uint64_t total_bytes) {
  const std::lock_guard lock(mutex_);
  loaded_bytes_ = loaded_bytes;
  total_bytes_ = total_bytes;
}

bool ControlState::take(engine::Step& step, StepTicket& ticket) {
  const std::lock_guard lock(mutex_);
  if (count_ == 0) return false;
  QueuedStep& oldest = queue_[first_];
  std::swap(step, oldest.step);
  ticket = oldest.ticket;
  first_ = (first_ + 1) % kQueueSteps;
  if (count_-- == kQueueSteps) wake_server();  // there is room again
  return true;
}

bool ControlState::shutdown_asked() const {
  const std::lock_guard lock(mutex_);
  return shutdown_ && count_ == 0;
}

void ControlState::send_result(const StepTicket& ticket, const engine::StepResult& result) {
  const std::lock_guard lock(mutex_);
  if (client_ == nullptr || session_ != ticket.session) return;
  control::Frame& frame = outgoing_.fresh_frame();
  control::StepResult& out = *frame.mutable_result();
  result_to_proto(result, out);
  out.set_compute_us(static_cast<std::uint32_t>(now_us() - ticket.arrived_us));
  client_->send(frame);
  if (client_->pending_bytes() > 0) wake_server();
}

void ControlState::send_refusal(const StepTicket& ticket, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (client_ == nullptr || session_ != ticket.session) return;
  control::Frame& frame = outgoing_.fresh_frame();
  frame.mutable_result()->set_id(ticket.id);
  frame.mutable_result()->set_error(reason);
  client_->send(frame);
  if (client_->pending_bytes() > 0) wake_server();
}

double ControlState::alone_seconds() const {
  const std::lock_guard lock(mutex_);
  return client_ != nullptr ? 0.0 : static_cast<double>(now_us() - alone_since_us_) * 1e-6;
}

bool ControlState::phase_told() const {
  const std::lock_guard lock(mutex_);
  return phase_told_;
}

void ControlState::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  wake_server();
}

// What the server thread calls.

bool ControlState::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

Status ControlState::check_hello(const control::Frame& frame) const {
  if (!frame.has_hello()) return Error{ErrorCode::kUnauthenticated, "the first frame must be Hello"};
  const control::Hello& hello = frame.hello();
  if (!equal_secrets(hello.secret(), secret_))
    return Error{ErrorCode::kUnauthenticated, "wrong secret: this job belongs to another coordinator"};
  if (hello.protocol() != control::PROTOCOL_VERSION)
    return Error{ErrorCode::kUnsupported, text("control protocol ", hello.protocol(), ", this worker speaks ",
                                               static_cast<int>(control::PROTOCOL_VERSION))};
  if (hello.version() != kVersion)
    return Error{ErrorCode::kUnsupported, text("coordinator version ", hello.version(), ", worker version ", kVersion)};
  const std::lock_guard lock(mutex_);
  if (client_ != nullptr) return Error{ErrorCode::kUnavailable, "another coordinator is connected"};
  return {};
}

void ControlState::admit(std::unique_ptr<ControlClient> client) {
  const std::lock_guard lock(mutex_);
  client_ = std::move(client);
  ++session_;
  greeted_ = false;
  phase_told_ = false;
  greet();
}

/// Welcome and the first Status, once both the client and the facts are there; a job that failed before has no facts.
void ControlState::greet() {
  if (client_ == nullptr || greeted_) return;
  if (!have_facts_) {
    if (phase_ == JobPhase::kFailed) {
      client_->refuse(message_);
      phase_told_ = true;
    }
    return;
  }
  control::Frame& frame = outgoing_.fresh_frame();
  control::Welcome& welcome = *frame.mutable_welcome();
  welcome.set_protocol(control::PROTOCOL_VERSION);
  welcome.set_n_ranks(static_cast<std::uint32_t>(facts_.n_ranks));
  welcome.set_n_stages(static_cast<std::uint32_t>(facts_.n_stages));
  welcome.set_n_pages(static_cast<std::uint32_t>(facts_.n_pages));
  welcome.set_page_tokens(engine::kPageTokens);
  welcome.set_n_window_pages(static_cast<std::uint32_t>(facts_.n_window_pages));
  welcome.set_window_tokens(static_cast<std::uint32_t>(facts_.window_tokens));
  welcome.set_max_step_tokens(static_cast<std::uint32_t>(facts_.max_step_tokens));
  welcome.set_kernels(facts_.kernels);
  welcome.set_transport(facts_.transport);
  welcome.set_plan(facts_.plan);
  client_->send(frame);
  greeted_ = true;
  status_changed_ = true;
  wake_server();
}

pollfd ControlState::client_poll() const {
  const std::lock_guard lock(mutex_);
  if (client_ == nullptr) return {-1, 0, 0};
  short events = 0;
  if (count_ < kQueueSteps) events |= POLLIN;
  if (client_->pending_bytes() > 0) events |= POLLOUT;
  return {client_->descriptor(), events, 0};
}

bool ControlState::wants_frames() const {
  const std::lock_guard lock(mutex_);
  return client_ != nullptr && count_ < kQueueSteps;
}

Result<bool> ControlState::receive() {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    control::Frame& frame = incoming_.fresh_frame();
    COLONNADE_ASSIGN(const bool got, client_->receive(kMaxFrameBytes, frame));
    if (!got) {
      if (client_->closed()) close_client();
      return false;
    }
    if (frame.has_step()) {
      if (const Status queued = queue_step(frame.step()); !queued.ok()) {
        control::Frame& answer = outgoing_.fresh_frame();
        answer.mutable_result()->set_id(frame.step().id());
        answer.mutable_result()->set_error(queued.error().message);
        client_->send(answer);
      } else {
        wake = true;
      }
    } else if (frame.has_shutdown()) {
      shutdown_ = true;
      wake = true;
    } else {
      return Error{ErrorCode::kCorrupt, "a frame that only a worker sends, or an empty one"};
    }
  }
  if (wake) wake_();
  return true;
}

Status ControlState::queue_step(const control::Step& proto) {
  if (shutdown_) return Error{ErrorCode::kUnavailable, "the job is shutting down"};
  if (phase_ != JobPhase::kReady) return Error{ErrorCode::kUnavailable, "the job is not ready for steps"};
  QueuedStep& place = queue_[(first_ + count_) % kQueueSteps];
  COLONNADE_TRY(step_from_proto(proto, place.step));
  place.ticket = {.id = proto.id(), .session = session_, .arrived_us = now_us()};
  ++count_;
  return {};
}

void ControlState::drop_client(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (client_ == nullptr) return;
  client_->refuse(reason);
  close_client();
}

/// Its queued steps go with it: nobody wants their results.
void ControlState::close_client() {
  client_.reset();
  count_ = 0;
  alone_since_us_ = now_us();
  if (!shutdown_ && phase_ != JobPhase::kFailed) log_warning("control link: the coordinator has left");
}

void ControlState::flush() {
  const std::lock_guard lock(mutex_);
  if (client_ == nullptr) return;
  client_->flush();
  if (client_->closed() || client_->pending_bytes() > kMaxPendingBytes) close_client();
}

bool ControlState::has_output() const {
  const std::lock_guard lock(mutex_);
  return client_ != nullptr && (client_->pending_bytes() > 0 || (greeted_ && status_changed_));
}

bool ControlState::status_changed() const {
  const std::lock_guard lock(mutex_);
  return status_changed_;
}

void ControlState::send_status() {
  const std::lock_guard lock(mutex_);
  status_changed_ = false;
  if (client_ == nullptr) return;
  if (!greeted_) return greet();
  control::Frame& frame = outgoing_.fresh_frame();
  control::Status& status = *frame.mutable_status();
  status.set_phase(to_proto(phase_));
  status.set_loaded_bytes(loaded_bytes_);
  status.set_total_bytes(total_bytes_);
  status.set_message(message_);
  client_->send(frame);
  phase_told_ = true;
}

}  // namespace colonnade::worker
