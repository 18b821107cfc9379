// SPDX-License-Identifier: Apache-2.0
#include "core/vhost_user/ring_state.h"

#include <cerrno>

namespace vfskit::vhost_user {

const char* describe(RingState state) {
    switch (state) {
    case RingState::stopped:
        return "stopped";
    case RingState::started_disabled:
        return "started but disabled";
    case RingState::started_enabled:
        return "started and enabled";
    }
    return "unknown";
}

Result<RingState> RingLife::apply(RingEvent event) {
    switch (event) {
    case RingEvent::start:
        if (is_started()) {
            return Error{EPROTO, "The ring is started already"};
        }
        state_ = is_enabled_ ? RingState::started_enabled : RingState::started_disabled;
        break;
    case RingEvent::stop:
        state_ = RingState::stopped;
        break;
    case RingEvent::enable:
        is_enabled_ = true;
        state_ = is_started() ? RingState::started_enabled : RingState::stopped;
        break;
    case RingEvent::disable:
        is_enabled_ = false;
        state_ = is_started() ? RingState::started_disabled : RingState::stopped;
        break;
    }
    return state_;
}

} // namespace vfskit::vhost_user
