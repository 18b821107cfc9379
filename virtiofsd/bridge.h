// SPDX-License-Identifier: Apache-2.0
// Where the two protocols meet: a request slot of a ring becomes a FUSE request, its answer the
// used length.
#pragma once

#include "core/fuse/session.h"
#include "core/vhost_user/request.h"
#include "core/vhost_user/session.h"

namespace vfskit::virtiofsd {

/// Answers every ring of a front-end from one FUSE session. The session must outlive it, and must
/// outlive the threads of the BackendSession that it is given to.
class Bridge final : public vhost_user::RequestHandler,
                     public vhost_user::SessionObserver,
                     public fuse::CompletionSink {
public:
    /// `has_pool`: reads and writes of any size go to the pool that the operator asked for.
    Bridge(fuse::Session& session, bool has_pool) : session_{session}, has_pool_{has_pool} {}

    void thread_started() override;
    vhost_user::RequestCost cost_of(const vhost_user::RequestSlot& request) override;
    void handle(vhost_user::RequestSlot& request) override;
    void batch_ended(vhost_user::QueueIndex queue) override;
    void drain(vhost_user::QueueIndex queue) override;
    void device_reset() override;

    void complete(std::uint64_t token, std::size_t used) override;

private:
    fuse::Session& session_;
    bool has_pool_;
};

} // namespace vfskit::virtiofsd
