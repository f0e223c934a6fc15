#include "worker/heartbeat.h"

#include <catch2/catch.hpp>

#include <chrono>
#include <thread>

#include "engine/base/thread_comm.h"

using namespace colonnade;

TEST_CASE("rank 0 sums what all have loaded") {
  ThreadJob job(3);
  worker::Heartbeat leader(job.comm(0), 10);
  worker::Heartbeat one(job.comm(1), 10);
  worker::Heartbeat two(job.comm(2), 10);
  leader.set_loaded(1, 10);
  one.set_loaded(20, 100);
  two.set_loaded(300, 1000);
  REQUIRE(one.beat().ok());
  REQUIRE(two.beat().ok());
  REQUIRE(leader.beat().ok());
  CHECK(leader.loaded_bytes() == 321);
  CHECK(leader.total_bytes() == 1110);
}

TEST_CASE("a silent rank is named once its time is over") {
  ThreadJob job(2);
  worker::Heartbeat leader(job.comm(0), 0.05);
  REQUIRE(leader.beat().ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(80));
  CHECK(leader.beat(10.0).ok());  // it has a long step to run
  const Status silent = leader.beat();
  REQUIRE_FALSE(silent.ok());
  CHECK(silent.error().code == ErrorCode::kUnavailable);
  CHECK(silent.error().message.find("rank 1") != std::string::npos);
  leader.all_alive();
  CHECK(leader.beat().ok());
}

TEST_CASE("the last word of a rank reaches rank 0, and from there the others") {
  ThreadJob job(3);
  worker::Heartbeat leader(job.comm(0), 10);
  worker::Heartbeat one(job.comm(1), 10);
  worker::Heartbeat two(job.comm(2), 10);
  one.say_failed("rank 1 has lost its disk");
  const Status heard = leader.beat();
  REQUIRE_FALSE(heard.ok());
  CHECK(heard.error().message == "rank 1 has lost its disk");
  leader.say_failed(heard.error().message);
  const Status passed_on = two.beat();
  REQUIRE_FALSE(passed_on.ok());
  CHECK(passed_on.error().message == "rank 1 has lost its disk");
}

TEST_CASE("one rank alone notices that its job was ended") {
  ThreadJob job(1);
  worker::Heartbeat alone(job.comm(0), 10);
  CHECK(alone.beat().ok());
  job.end();
  CHECK_FALSE(alone.beat().ok());
}
