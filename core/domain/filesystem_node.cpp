// SPDX-License-Identifier: Apache-2.0
#include "core/domain/filesystem_node.h"

#include <fmt/format.h>

#include <utility>

namespace vfskit::domain {
namespace {

using xml::Node;

std::string on_off(bool value) {
    return value ? "on" : "off";
}

Node element(std::string name) {
    return {std::move(name), {}, {}};
}

void add_unless_empty(Node& parent, Node child) {
    if (!child.is_empty()) {
        parent.children.push_back(std::move(child));
    }
}

void with_switch(Node& node, std::string name, const std::optional<bool>& value) {
    if (value) {
        node.with(std::move(name), on_off(*value));
    }
}

void with_virtio(Node& driver, const VirtioOptions& virtio) {
    with_switch(driver, "iommu", virtio.iommu);
    with_switch(driver, "ats", virtio.ats);
    with_switch(driver, "packed", virtio.packed);
    with_switch(driver, "page_per_vq", virtio.page_per_vq);
}

Node lock_node(const ManagedDaemon& daemon) {
    Node lock = element("lock");
    with_switch(lock, "posix", daemon.posix_lock);
    with_switch(lock, "flock", daemon.flock);
    return lock;
}

Node binary_node(const ManagedDaemon& daemon) {
    Node binary = element("binary");
    if (daemon.binary_path) {
        binary.with("path", *daemon.binary_path);
    }
    if (daemon.xattr) {
        binary.with("xattr", "on");
    }
    if (daemon.cache) {
        binary.children.push_back(
            element("cache").with("mode", std::string{to_string(*daemon.cache)}));
    }
    if (daemon.sandbox) {
        binary.children.push_back(
            element("sandbox").with("mode", std::string{to_string(*daemon.sandbox)}));
    }
    add_unless_empty(binary, lock_node(daemon));
    if (daemon.thread_pool_size) {
        binary.children.push_back(
            element("thread_pool").with("size", std::to_string(*daemon.thread_pool_size)));
    }
    if (daemon.openfiles) {
        binary.children.push_back(
            element("openfiles").with("max", std::to_string(*daemon.openfiles)));
    }
    return binary;
}

void add_ranges(Node& idmap, const std::string& name, const std::vector<share::IdRange>& ranges) {
    for (const share::IdRange& range : ranges) {
        idmap.children.push_back(element(name)
                                     .with("start", std::to_string(range.guest))
                                     .with("target", std::to_string(range.host))
                                     .with("count", std::to_string(range.count)));
    }
}

Node idmap_node(const ManagedDaemon& daemon) {
    Node idmap = element("idmap");
    add_ranges(idmap, "uid", daemon.uid_map);
    add_ranges(idmap, "gid", daemon.gid_map);
    return idmap;
}

Node source_node(const VirtiofsFilesystem& filesystem) {
    if (const auto* managed = std::get_if<ManagedDaemon>(&filesystem.daemon)) {
        return element("source").with("dir", managed->source_dir);
    }
    return element("source").with("socket", std::get<ExternalDaemon>(filesystem.daemon).socket);
}

Node virtiofs_node(const VirtiofsFilesystem& filesystem) {
    const auto* const managed = std::get_if<ManagedDaemon>(&filesystem.daemon);
    Node root = element("filesystem").with("type", "mount");
    if (managed != nullptr) {
        root.with("accessmode", "passthrough");
    }
    Node driver = element("driver").with("type", "virtiofs");
    if (filesystem.queue_size) {
        driver.with("queue", std::to_string(*filesystem.queue_size));
    }
    with_virtio(driver, filesystem.virtio);
    root.children.push_back(std::move(driver));
    if (managed != nullptr) {
        add_unless_empty(root, binary_node(*managed));
    }
    root.children.push_back(source_node(filesystem));
    root.children.push_back(element("target").with("dir", filesystem.tag));
    if (managed != nullptr) {
        add_unless_empty(root, idmap_node(*managed));
    }
    if (filesystem.readonly) {
        root.children.push_back(element("readonly"));
    }
    if (filesystem.boot_order) {
        root.children.push_back(
            element("boot").with("order", std::to_string(*filesystem.boot_order)));
    }
    return root;
}

void with_mode(Node& node, std::string name, const std::optional<std::uint32_t>& mode) {
    if (mode) {
        node.with(std::move(name), fmt::format("{:04o}", *mode));
    }
}

Node ninep_node(const NinepFilesystem& filesystem) {
    Node root = element("filesystem")
                    .with("type", "mount")
                    .with("accessmode", std::string{to_string(filesystem.accessmode)});
    if (filesystem.multidevs) {
        root.with("multidevs", std::string{to_string(*filesystem.multidevs)});
    }
    with_mode(root, "fmode", filesystem.fmode);
    with_mode(root, "dmode", filesystem.dmode);
    if (filesystem.model) {
        root.with("model", std::string{to_string(*filesystem.model)});
    }
    Node driver = element("driver").with("type", "path");
    if (filesystem.wrpolicy_immediate) {
        driver.with("wrpolicy", "immediate");
    }
    with_virtio(driver, filesystem.virtio);
    root.children.push_back(std::move(driver));
    root.children.push_back(element("source").with("dir", filesystem.source_dir));
    root.children.push_back(element("target").with("dir", filesystem.tag));
    if (filesystem.readonly) {
        root.children.push_back(element("readonly"));
    }
    return root;
}

const xml::Owned binary_ownership{"binary",
                                  {"path", "xattr"},
                                  // libvirt writes the daemon that it found into the live XML.
                                  {"path"},
                                  {{"cache", {"mode"}, {}, {}},
                                   {"sandbox", {"mode"}, {}, {}},
                                   {"lock", {"posix", "flock"}, {}, {}},
                                   {"thread_pool", {"size"}, {}, {}},
                                   {"openfiles", {"max"}, {}, {}}}};

const xml::Owned idmap_ownership{
    "idmap",
    {},
    {},
    {{"uid", {"start", "target", "count"}, {}, {}}, {"gid", {"start", "target", "count"}, {}, {}}}};

} // namespace

xml::Node filesystem_node(const Filesystem& filesystem) {
    if (const auto* virtiofs = std::get_if<VirtiofsFilesystem>(&filesystem)) {
        return virtiofs_node(*virtiofs);
    }
    return ninep_node(std::get<NinepFilesystem>(filesystem));
}

xml::Owned filesystem_ownership(const Filesystem& filesystem) {
    const auto* const virtiofs = std::get_if<VirtiofsFilesystem>(&filesystem);
    xml::Owned owned{
        "filesystem",
        {"type", "accessmode", "multidevs", "fmode", "dmode", "model"},
        {},
        {{"driver", {"type", "queue", "wrpolicy", "format"}, {}, {}},
         binary_ownership,
         {"source", {"dir", "socket", "file", "dev", "name", "usage", "units"}, {}, {}},
         {"target", {"dir"}, {}, {}},
         idmap_ownership,
         {"readonly", {}, {}, {}}}};
    if (virtiofs == nullptr) {
        owned.sticky = {"model"};
    } else if (virtiofs->boot_order) {
        owned.children.push_back({"boot", {"order"}, {}, {}});
    }
    return owned;
}

std::string filesystem_xml(const Filesystem& filesystem) {
    return xml::serialize(filesystem_node(filesystem), {"\n", "", "  "}) + "\n";
}

} // namespace vfskit::domain
