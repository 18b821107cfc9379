// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/preparation.h"

#include "core/device_state/saver.h"

#include <utility>

namespace vfskit::device_state {

using passthrough::PassthroughFs;

PreparedSave::PreparedSave(PassthroughFs& filesystem, const SaveOptions& options)
    : filesystem_{filesystem}, options_{options} {
    filesystem.inodes().begin_changes();
}

PreparedSave::~PreparedSave() {
    filesystem_.inodes().end_changes();
}

void PreparedSave::prepare(const Suspects& suspects, const std::atomic<bool>& cancelled) {
    saver_ = std::make_unique<Saver>(filesystem_, options_);
    saver_->locate(suspects, cancelled);
}

Result<State> PreparedSave::save(const Suspects& suspects, LogSink& log) {
    const auto changed = filesystem_.inodes().take_changes();
    if (saver_ && changed && saver_->update(*changed, suspects)) {
        return finish(*saver_, options_.mode, log);
    }
    return device_state::save(filesystem_, options_, suspects, log);
}

void Preparation::start(Then then) {
    cancel();
    cancelled_ = false;
    prepared_ = std::make_unique<PreparedSave>(filesystem_, options_);
    thread_ = std::thread{[this, then = std::move(then)] { run(then); }};
}

void Preparation::run(const Then& then) {
    if (options_.mode != SaveMode::file_handles) {
        suspects_ = find_suspects(filesystem_.inodes(), cancelled_, &times_);
    }
    if (!cancelled_) {
        prepared_->prepare(suspects_, cancelled_);
    }
    if (then && !cancelled_) {
        then(suspects_, cancelled_);
    }
}

void Preparation::cancel() {
    cancelled_ = true;
    if (thread_.joinable()) {
        thread_.join();
    }
    prepared_.reset();
    spent_.reset();
    suspects_.clear();
    times_ = {};
}

void Preparation::clear_up(State sent) {
    if (thread_.joinable()) {
        thread_.join();
    }
    thread_ = std::thread{[prepared = std::move(spent_), state = std::move(sent)]() mutable {
        prepared.reset();
        state = {};
    }};
}

Result<State> Preparation::save(bool confirms_places, LogSink& log) {
    if (thread_.joinable()) {
        thread_.join();
    }
    spent_ = std::move(prepared_); // clearing it up takes time that the guest stands still
    auto suspects = std::exchange(suspects_, {});
    if (options_.mode != SaveMode::file_handles && !spent_) {
        // A device that was not running when the migration began never told us that it began.
        suspects = find_suspects(filesystem_.inodes(), std::atomic<bool>{false});
    } else if (options_.mode != SaveMode::file_handles && confirms_places) {
        suspects.merge(find_new_suspects(filesystem_.inodes(), times_));
    }
    return spent_ ? spent_->save(suspects, log)
                  : device_state::save(filesystem_, options_, suspects, log);
}

} // namespace vfskit::device_state
