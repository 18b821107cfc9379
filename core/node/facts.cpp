// SPDX-License-Identifier: Apache-2.0
#include "core/node/facts.h"

#include <algorithm>
#include <functional>

namespace vfskit::node {

namespace {

template <class T, class Projection>
const T* find_by(const std::vector<T>& items, Projection projection, std::string_view key) {
    const auto found = std::ranges::find(
        items, key, [&](const T& item) { return std::string_view{std::invoke(projection, item)}; });
    return found == items.end() ? nullptr : &*found;
}

} // namespace

std::string_view to_string(BinaryKind kind) {
    switch (kind) {
    case BinaryKind::rust:
        return "rust";
    case BinaryKind::bundled:
        return "bundled";
    case BinaryKind::c:
        return "c";
    }
    return "";
}

std::string_view to_string(Manager manager) {
    switch (manager) {
    case Manager::vfskit:
        return "vfskit";
    case Manager::libvirt:
        return "libvirt";
    case Manager::pve:
        return "pve";
    case Manager::other:
        return "other";
    }
    return "";
}

std::string_view to_string(ProbeState state) {
    switch (state) {
    case ProbeState::answered:
        return "answered";
    case ProbeState::timed_out:
        return "timed-out";
    case ProbeState::failed:
        return "failed";
    }
    return "";
}

bool BinaryFacts::has_feature(std::string_view feature) const {
    return std::ranges::find(features, feature) != features.end();
}

const PathFacts* NodeFacts::find_path(std::string_view dirid) const {
    return find_by(paths, &PathFacts::dirid, dirid);
}

const BinaryFacts* NodeFacts::find_virtiofsd(std::string_view path) const {
    return find_by(virtiofsds, &BinaryFacts::path, path);
}

const EmulatorFacts* NodeFacts::find_qemu(std::string_view path) const {
    return find_by(qemus, &EmulatorFacts::path, path);
}

const GuestFacts* NodeFacts::find_guest(std::string_view name) const {
    if (const auto* guest = find_by(guests, &GuestFacts::name, name)) {
        return guest;
    }
    const auto found = std::ranges::find_if(guests, [&](const GuestFacts& guest) {
        return guest.vmid && std::to_string(*guest.vmid) == name;
    });
    return found == guests.end() ? nullptr : &*found;
}

const DaemonFacts* NodeFacts::find_daemon(std::string_view vm, std::string_view tag) const {
    const DaemonFacts* dead = nullptr;
    for (const auto& daemon : daemons) {
        if (daemon.vm != vm || daemon.tag != tag) {
            continue;
        }
        if (daemon.is_alive) {
            return &daemon;
        }
        dead = dead == nullptr ? &daemon : dead;
    }
    return dead;
}

} // namespace vfskit::node
