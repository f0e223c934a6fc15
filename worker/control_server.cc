#include "worker/control_server.h"

#include <poll.h>

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "worker/control_client.h"
#include "worker/control_frames.h"
#include "worker/control_state.h"
#include "worker/listener.h"

namespace colonnade::worker {
namespace {

constexpr std::size_t kMaxConnections = 8;        // who has not shown the secret yet may not crowd others out
constexpr std::int64_t kHelloLimitUs = 10'000'000;
constexpr std::int64_t kStatusIntervalUs = 1'000'000;
constexpr std::int64_t kFlushLimitUs = 1'000'000;

}  // namespace

struct ControlServer::State {
  State(Listener opened, std::string job_secret, std::function<void()> job_wake)
      : listener(std::move(opened)), link(std::move(job_secret), std::move(job_wake)) {}

  Listener listener;
  ControlState link;
  std::vector<std::unique_ptr<ControlClient>> strangers;  // server thread only: not welcomed yet
  std::vector<pollfd> polled;
  std::thread thread;

  void accept_all();
  void serve_strangers();
  void serve_client();
  void run();
};

void ControlServer::State::accept_all() {
  for (;;) {
    const int descriptor = listener.accept_one();
    if (descriptor < 0) return;
    if (strangers.size() >= kMaxConnections) strangers.erase(strangers.begin());  // it had the longest time
    strangers.push_back(std::make_unique<ControlClient>(descriptor, now_us()));
  }
}

/// Those who have not said a good Hello.
void ControlServer::State::serve_strangers() {
  for (auto& stranger : strangers) {
    control::Frame frame;
    const auto got = stranger->receive(kMaxHelloBytes, frame);
    if (!got.ok()) {
      stranger->refuse(got.error().message);
      stranger.reset();
    } else if (*got) {
      if (const Status let_in = link.check_hello(frame); !let_in.ok()) {
        log_warning("control link: refused a connection: " + let_in.error().message);
        stranger->refuse(let_in.error().message);
        stranger.reset();
      } else {
        link.admit(std::move(stranger));
      }
    } else if (stranger->closed() || now_us() - stranger->since_us() > kHelloLimitUs) {
      stranger.reset();
    }
  }
  std::erase(strangers, nullptr);
}

void ControlServer::State::serve_client() {
  while (link.wants_frames()) {
    const auto got = link.receive();
    if (!got.ok()) {
      log_warning("control link: " + got.error().message);
      link.drop_client(got.error().message);
      return;
    }
    if (!*got) return;
  }
}

void ControlServer::State::run() {
  std::int64_t next_status_us = now_us() + kStatusIntervalUs;
  std::int64_t flush_until_us = 0;
  for (;;) {
    polled.clear();
    polled.push_back({link.wake_descriptor(), POLLIN, 0});
    polled.push_back({listener.descriptor(), POLLIN, 0});
    for (const auto& stranger : strangers) polled.push_back({stranger->descriptor(), POLLIN, 0});
    if (const pollfd client = link.client_poll(); client.fd >= 0) polled.push_back(client);
    const std::int64_t wait_us = std::clamp<std::int64_t>(next_status_us - now_us(), 0, kStatusIntervalUs);
    (void)::poll(polled.data(), polled.size(), static_cast<int>(wait_us / 1000 + 1));

    link.clear_wake();
    if (link.stopping()) {
      if (flush_until_us == 0) flush_until_us = now_us() + kFlushLimitUs;
      if (link.status_changed()) link.send_status();
      link.flush();
      if (!link.has_output() || now_us() > flush_until_us) return;
      next_status_us = now_us() + 10'000;
      continue;
    }
    accept_all();
    serve_strangers();
    serve_client();
    link.flush();
    if (now_us() >= next_status_us || link.status_changed()) {
      link.send_status();
      next_status_us = now_us() + kStatusIntervalUs;
    }
  }
}

Result<std::unique_ptr<ControlServer>> ControlServer::start(const std::string& address, std::string secret,
                                                            std::function<void()> wake) {
  if (secret.empty())
    return Error{ErrorCode::kInvalidArgument, "the control link needs a secret, found none (COLONNADE_SECRET)"};
  COLONNADE_ASSIGN(Listener listener, Listener::open(address));
  auto state = std::make_unique<State>(std::move(listener), std::move(secret), std::move(wake));
  if (state->link.wake_descriptor() < 0) return Error{ErrorCode::kIo, "control link: eventfd failed"};
  State* const raw = state.get();
  std::unique_ptr<ControlServer> server(new ControlServer(std::move(state)));
  raw->thread = std::thread([raw] { raw->run(); });
  return server;
}

ControlServer::ControlServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

ControlServer::~ControlServer() {
  state_->link.stop();
  if (state_->thread.joinable()) state_->thread.join();
}

const std::string& ControlServer::address() const { return state_->listener.address(); }
void ControlServer::set_facts(const JobFacts& facts) { state_->link.set_facts(facts); }
void ControlServer::set_phase(JobPhase phase, std::string message) { state_->link.set_phase(phase, std::move(message)); }
void ControlServer::set_loaded(std::uint64_t loaded, std::uint64_t total) { state_->link.set_loaded(loaded, total); }
bool ControlServer::take(engine::Step& step, StepTicket& ticket) { return state_->link.take(step, ticket); }
bool ControlServer::shutdown_asked() const { return state_->link.shutdown_asked(); }
void ControlServer::send_result(const StepTicket& ticket, const engine::StepResult& result) {
  state_->link.send_result(ticket, result);
}
void ControlServer::send_refusal(const StepTicket& ticket, const std::string& reason) {
  state_->link.send_refusal(ticket, reason);
}
double ControlServer::alone_seconds() const { return state_->link.alone_seconds(); }
bool ControlServer::phase_told() const { return state_->link.phase_told(); }

}  // namespace colonnade::worker
