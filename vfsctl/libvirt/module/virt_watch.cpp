// SPDX-License-Identifier: Apache-2.0
// Lifecycle events: they arrive on the event loop's thread and are handed over to the caller's.
#include "vfsctl/libvirt/module/virt_connection.h"
#include "vfsctl/libvirt/module/virt_error.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

namespace vfskit::vfsctl {

namespace {

constexpr std::chrono::milliseconds stop_poll{200};

// Events on their way from the loop's thread to the watcher's.
class EventQueue {
public:
    void push(DomainEvent event) {
        {
            const std::lock_guard guard{mutex_};
            events_.push_back(std::move(event));
        }
        wake_.notify_one();
    }

    std::optional<DomainEvent> pop_within(std::chrono::milliseconds patience) {
        std::unique_lock lock{mutex_};
        if (!wake_.wait_for(lock, patience, [this] { return !events_.empty(); })) {
            return std::nullopt;
        }
        auto event = std::move(events_.front());
        events_.pop_front();
        return event;
    }

private:
    std::mutex mutex_; // protects events_; nothing else is called while it is held
    std::condition_variable wake_;
    std::deque<DomainEvent> events_;
};

std::optional<DomainEventKind> kind_of(int event, int detail) {
    switch (event) {
    case VIR_DOMAIN_EVENT_DEFINED:
        return DomainEventKind::defined;
    case VIR_DOMAIN_EVENT_RESUMED:
        return detail == VIR_DOMAIN_EVENT_RESUMED_MIGRATED
                   ? std::optional{DomainEventKind::resumed_migrated}
                   : std::nullopt;
    case VIR_DOMAIN_EVENT_STARTED:
        return DomainEventKind::started;
    case VIR_DOMAIN_EVENT_STOPPED:
        return DomainEventKind::stopped;
    default:
        return std::nullopt;
    }
}

void on_lifecycle(
    virConnectPtr /*connect*/, virDomainPtr domain, int event, int detail, void* queue) {
    const auto kind = kind_of(event, detail);
    if (!kind) {
        return;
    }
    std::array<char, VIR_UUID_STRING_BUFLEN> uuid{};
    ::virDomainGetUUIDString(domain, uuid.data());
    static_cast<EventQueue*>(queue)->push({*kind, ::virDomainGetName(domain), uuid.data()});
}

} // namespace

Result<void> VirtConnection::watch(const std::function<void(const DomainEvent&)>& handler,
                                   const std::atomic<bool>& stop) {
    // Freed by libvirt when the callback is gone, which may be after we have left.
    auto* queue = new std::shared_ptr<EventQueue>{std::make_shared<EventQueue>()};
    const auto events = *queue;
    const int callback = ::virConnectDomainEventRegisterAny(
        connect_.get(),
        nullptr,
        VIR_DOMAIN_EVENT_ID_LIFECYCLE,
        VIR_DOMAIN_EVENT_CALLBACK(
            +[](virConnectPtr connect, virDomainPtr domain, int event, int detail, void* held) {
                on_lifecycle(connect,
                             domain,
                             event,
                             detail,
                             static_cast<std::shared_ptr<EventQueue>*>(held)->get());
            }),
        queue,
        [](void* held) { delete static_cast<std::shared_ptr<EventQueue>*>(held); });
    if (callback < 0) {
        delete queue;
        return last_virt_error(fmt::format("Cannot watch '{}'", uri_));
    }
    while (!stop && ::virConnectIsAlive(connect_.get()) == 1) {
        if (const auto event = events->pop_within(stop_poll)) {
            handler(*event);
        }
    }
    ::virConnectDomainEventDeregisterAny(connect_.get(), callback);
    if (!stop) {
        return Error{ECONNRESET, fmt::format("The connection to '{}' is lost", uri_)};
    }
    return {};
}

} // namespace vfskit::vfsctl
