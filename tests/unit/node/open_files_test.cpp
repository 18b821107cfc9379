// SPDX-License-Identifier: Apache-2.0
#include "core/node/collect_parts.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <vector>

namespace vfskit::node {
namespace {

control::UnreachableFile file(control::Passage passage, std::string path = "d/f") {
    control::UnreachableFile file;
    file.passage = passage;
    file.path = std::move(path);
    return file;
}

std::vector<DaemonFacts> one_daemon() {
    DaemonFacts daemon;
    daemon.control_socket = "/run/control";
    return {daemon};
}

Places places_that_answer(const Result<control::MigrationReport>& answer) {
    Places places;
    places.ask_daemon = [answer](const std::string&, std::chrono::milliseconds) { return answer; };
    return places;
}

TEST(OpenFiles, AreCountedByTheWayThatTheyTravel) {
    control::MigrationReport report;
    report.unreachable = 6; // two more than are listed
    report.files = {file(control::Passage::none),
                    file(control::Passage::same_directory),
                    file(control::Passage::same_host),
                    file(control::Passage::same_host, "")};
    report.posix_locks = 1;
    report.flocks = 2;
    report.locks_move = true;
    auto daemons = one_daemon();

    ask_daemons(daemons, places_that_answer(report));

    EXPECT_EQ(daemons[0].open_files,
              (OpenFilesFacts{.stuck = 3,
                              .by_handle = 1,
                              .by_descriptor = 2,
                              .locks = 3,
                              .locks_move = true,
                              .examples = {"d/f", "d/f", "d/f"}}));
}

TEST(OpenFiles, AreNamedFiveTimesAtMost) {
    control::MigrationReport report;
    report.files.assign(6, file(control::Passage::none));
    report.unreachable = 6;
    auto daemons = one_daemon();

    ask_daemons(daemons, places_that_answer(report));

    EXPECT_EQ(daemons[0].open_files->examples.size(), 5U);
    EXPECT_EQ(daemons[0].open_files->stuck, 6U);
}

TEST(OpenFiles, AreNoneWhereNoGuestHasMountedTheShare) {
    auto daemons = one_daemon();

    ask_daemons(daemons, places_that_answer(Error{ENOTCONN, "Nobody has mounted it"}));

    EXPECT_EQ(daemons[0].open_files, OpenFilesFacts{});
}

TEST(OpenFiles, AreNotKnownWhereTheDaemonDoesNotAnswer) {
    auto daemons = one_daemon();

    ask_daemons(daemons, places_that_answer(Error{ETIMEDOUT, "It did not answer"}));

    EXPECT_FALSE(daemons[0].open_files);
}

TEST(OpenFiles, AreAskedOnlyOfLivingDaemonsWithAControlSocket) {
    auto dead = one_daemon().front();
    dead.is_alive = false;
    auto upstream = one_daemon().front();
    upstream.control_socket.reset();
    std::vector<DaemonFacts> daemons{dead, upstream};

    ask_daemons(daemons, places_that_answer(control::MigrationReport{}));

    EXPECT_FALSE(daemons[0].open_files);
    EXPECT_FALSE(daemons[1].open_files);
}

TEST(OpenFiles, AreAskedWithinOneBoundForAll) {
    Places places;
    std::vector<std::chrono::milliseconds> bounds;
    places.ask_daemon = [&bounds](const std::string&, std::chrono::milliseconds timeout) {
        bounds.push_back(timeout);
        return Result{control::MigrationReport{}};
    };
    std::vector<DaemonFacts> daemons(2, one_daemon().front());

    ask_daemons(daemons, places);

    ASSERT_EQ(bounds.size(), 2U);
    EXPECT_LE(bounds[0], asking_daemons);
    EXPECT_LE(bounds[1], bounds[0]);
}

} // namespace
} // namespace vfskit::node
