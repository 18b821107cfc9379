// SPDX-License-Identifier: Apache-2.0
// The three states of a ring, as the vhost-user specification names them ("Ring states").
//
//                     kick fd (start)                    SET_VRING_ENABLE 1
//      ┌─────────┐ ───────────────────► ┌──────────────────┐ ────────────────► ┌─────────────────┐
//      │ stopped │                      │ started_disabled │                   │ started_enabled │
//      └─────────┘ ◄─────────────────── └──────────────────┘ ◄──────────────── └─────────────────┘
//           ▲       GET_VRING_BASE,                         SET_VRING_ENABLE 0          │
//           │       RESET_DEVICE                                                        │
//           └───────────────────────────────────────────────────────────────────────────┘
//
// Enabling is remembered while a ring is stopped: QEMU enables before it starts some rings and
// after it for others. A ring of a front-end that did not negotiate VHOST_USER_F_PROTOCOL_FEATURES
// starts enabled. Only a ring in started_enabled is processed.
#pragma once

#include "core/base/result.h"

namespace vfskit::vhost_user {

enum class RingState { stopped, started_disabled, started_enabled };
const char* describe(RingState state);

enum class RingEvent { start, stop, enable, disable };

/// The state of one ring together with the enabling it remembers.
class RingLife {
public:
    [[nodiscard]] RingState state() const { return state_; }
    [[nodiscard]] bool is_started() const { return state_ != RingState::stopped; }
    [[nodiscard]] bool is_enabled() const { return is_enabled_; }

    /// The state after `event`, or EPROTO for a start of a started ring. Stopping a stopped ring is
    /// allowed: front-ends ask for the base of rings that never ran.
    Result<RingState> apply(RingEvent event);

private:
    RingState state_ = RingState::stopped;
    bool is_enabled_ = false;
};

} // namespace vfskit::vhost_user
