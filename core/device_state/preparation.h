// SPDX-License-Identifier: Apache-2.0
// A save in two parts, of which the long one is done while the guest runs.
#pragma once

#include "core/device_state/place_check.h"
#include "core/device_state/save.h"

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

namespace vfskit::device_state {

class Saver;

/// What save() would find if it ran now, and what has changed since. The references must outlive
/// it; one per filesystem at a time, which notes changes for it.
class PreparedSave {
public:
    PreparedSave(passthrough::PassthroughFs& filesystem, const SaveOptions& options);
    ~PreparedSave();
    PreparedSave(const PreparedSave&) = delete;
    PreparedSave& operator=(const PreparedSave&) = delete;

    /// From any thread, while requests run. `suspects` were found after it was made. What was done
    /// until it was `cancelled` is good for nothing.
    void prepare(const Suspects& suspects, const std::atomic<bool>& cancelled);
    /// As device_state::save(), and with the same result, whatever the guest did meanwhile; takes
    /// as long as that was much. Once.
    Result<State> save(const Suspects& suspects, LogSink& log);

private:
    passthrough::PassthroughFs& filesystem_;
    const SaveOptions& options_;
    std::unique_ptr<Saver> saver_;
};

/// The preparation of one migration after the other, on a thread of its own: compares every place
/// that the store remembers with the host, so that only what is elsewhere has to be searched for
/// when the guest stands still, and prepares what is sent. The store keeps places right under the
/// guest's own renames and removals at all times, migration or not.
class Preparation {
public:
    Preparation(passthrough::PassthroughFs& filesystem, const SaveOptions& options)
        : filesystem_{filesystem}, options_{options} {}
    Preparation(const Preparation&) = delete;
    Preparation& operator=(const Preparation&) = delete;
    ~Preparation() { cancel(); }

    /// What else to do with what was found, on the same thread, unless it is cancelled meanwhile.
    using Then = std::function<void(const Suspects&, const std::atomic<bool>& cancelled)>;

    /// Begins anew.
    void start(Then then = {});
    /// Ends it and forgets what it found.
    void cancel();
    /// Waits for its end; then the state, on which no request may run. Works without start(), too.
    /// `confirms_places`: compares again.
    Result<State> save(bool confirms_places, LogSink& log);
    /// Frees what was prepared, and the state that was `sent`, on its thread: a million inodes take
    /// a while, in which the guest would stand still.
    void clear_up(State sent);

private:
    void run(const Then& then);

    passthrough::PassthroughFs& filesystem_;
    const SaveOptions& options_;
    std::atomic<bool> cancelled_{false};
    Suspects suspects_;
    DirectoryTimes times_;
    std::unique_ptr<PreparedSave> prepared_;
    std::unique_ptr<PreparedSave> spent_; ///< has been saved
    std::thread thread_;
};

} // namespace vfskit::device_state
