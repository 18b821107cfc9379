// SPDX-License-Identifier: Apache-2.0
// vhost-user messages as they travel. Names and numbers as in the specification (QEMU,
// docs/interop/vhost-user.rst); little-endian hosts only, which core/base/bytes.h asserts.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vfskit::vhost_user {

// NOLINTBEGIN(readability-identifier-naming): the specification's spelling.

inline constexpr std::uint32_t VHOST_USER_GET_FEATURES = 1;
inline constexpr std::uint32_t VHOST_USER_SET_FEATURES = 2;
inline constexpr std::uint32_t VHOST_USER_SET_OWNER = 3;
inline constexpr std::uint32_t VHOST_USER_RESET_OWNER = 4;
inline constexpr std::uint32_t VHOST_USER_SET_MEM_TABLE = 5;
inline constexpr std::uint32_t VHOST_USER_SET_LOG_BASE = 6;
inline constexpr std::uint32_t VHOST_USER_SET_LOG_FD = 7;
inline constexpr std::uint32_t VHOST_USER_SET_VRING_NUM = 8;
inline constexpr std::uint32_t VHOST_USER_SET_VRING_ADDR = 9;
inline constexpr std::uint32_t VHOST_USER_SET_VRING_BASE = 10;
inline constexpr std::uint32_t VHOST_USER_GET_VRING_BASE = 11;
inline constexpr std::uint32_t VHOST_USER_SET_VRING_KICK = 12;
inline constexpr std::uint32_t VHOST_USER_SET_VRING_CALL = 13;
inline constexpr std::uint32_t VHOST_USER_SET_VRING_ERR = 14;
inline constexpr std::uint32_t VHOST_USER_GET_PROTOCOL_FEATURES = 15;
inline constexpr std::uint32_t VHOST_USER_SET_PROTOCOL_FEATURES = 16;
inline constexpr std::uint32_t VHOST_USER_GET_QUEUE_NUM = 17;
inline constexpr std::uint32_t VHOST_USER_SET_VRING_ENABLE = 18;
inline constexpr std::uint32_t VHOST_USER_SEND_RARP = 19;
inline constexpr std::uint32_t VHOST_USER_NET_SET_MTU = 20;
inline constexpr std::uint32_t VHOST_USER_SET_BACKEND_REQ_FD = 21;
inline constexpr std::uint32_t VHOST_USER_IOTLB_MSG = 22;
inline constexpr std::uint32_t VHOST_USER_SET_VRING_ENDIAN = 23;
inline constexpr std::uint32_t VHOST_USER_GET_CONFIG = 24;
inline constexpr std::uint32_t VHOST_USER_SET_CONFIG = 25;
inline constexpr std::uint32_t VHOST_USER_CREATE_CRYPTO_SESSION = 26;
inline constexpr std::uint32_t VHOST_USER_CLOSE_CRYPTO_SESSION = 27;
inline constexpr std::uint32_t VHOST_USER_POSTCOPY_ADVISE = 28;
inline constexpr std::uint32_t VHOST_USER_POSTCOPY_LISTEN = 29;
inline constexpr std::uint32_t VHOST_USER_POSTCOPY_END = 30;
inline constexpr std::uint32_t VHOST_USER_GET_INFLIGHT_FD = 31;
inline constexpr std::uint32_t VHOST_USER_SET_INFLIGHT_FD = 32;
inline constexpr std::uint32_t VHOST_USER_GPU_SET_SOCKET = 33;
inline constexpr std::uint32_t VHOST_USER_RESET_DEVICE = 34;
inline constexpr std::uint32_t VHOST_USER_VRING_KICK = 35;
inline constexpr std::uint32_t VHOST_USER_GET_MAX_MEM_SLOTS = 36;
inline constexpr std::uint32_t VHOST_USER_ADD_MEM_REG = 37;
inline constexpr std::uint32_t VHOST_USER_REM_MEM_REG = 38;
inline constexpr std::uint32_t VHOST_USER_SET_STATUS = 39;
inline constexpr std::uint32_t VHOST_USER_GET_STATUS = 40;
inline constexpr std::uint32_t VHOST_USER_GET_SHARED_OBJECT = 41;
inline constexpr std::uint32_t VHOST_USER_SET_DEVICE_STATE_FD = 42;
inline constexpr std::uint32_t VHOST_USER_CHECK_DEVICE_STATE = 43;

inline constexpr unsigned VHOST_F_LOG_ALL = 26;
inline constexpr unsigned VHOST_USER_F_PROTOCOL_FEATURES = 30;

inline constexpr unsigned VHOST_USER_PROTOCOL_F_MQ = 0;
inline constexpr unsigned VHOST_USER_PROTOCOL_F_LOG_SHMFD = 1;
inline constexpr unsigned VHOST_USER_PROTOCOL_F_REPLY_ACK = 3;
inline constexpr unsigned VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5;
inline constexpr unsigned VHOST_USER_PROTOCOL_F_CONFIG = 9;
inline constexpr unsigned VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD = 10;
inline constexpr unsigned VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12;
inline constexpr unsigned VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13;
inline constexpr unsigned VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15;
inline constexpr unsigned VHOST_USER_PROTOCOL_F_STATUS = 16;
inline constexpr unsigned VHOST_USER_PROTOCOL_F_DEVICE_STATE = 19;

inline constexpr std::uint32_t VHOST_USER_VERSION_MASK = 0x3;
inline constexpr std::uint32_t VHOST_USER_VERSION = 0x1;
inline constexpr std::uint32_t VHOST_USER_REPLY_MASK = 1U << 2;
inline constexpr std::uint32_t VHOST_USER_NEED_REPLY_MASK = 1U << 3;

/// In the u64 of SET_VRING_KICK, CALL and ERR; the second also in the reply of SET_DEVICE_STATE_FD.
inline constexpr std::uint64_t VHOST_USER_VRING_IDX_MASK = 0xff;
inline constexpr std::uint64_t VHOST_USER_VRING_NOFD_MASK = 1U << 8;

/// In VhostVringAddr::flags.
inline constexpr std::uint32_t VHOST_VRING_F_LOG = 0;

/// Regions in one SET_MEM_TABLE, and so the most fds in one message.
inline constexpr std::size_t VHOST_USER_MAX_RAM_SLOTS_BASELINE = 8;
/// "the maximum configuration space size" (VHOST_USER_MAX_CONFIG_SIZE).
inline constexpr std::size_t VHOST_USER_MAX_CONFIG_SIZE = 256;

// NOLINTEND(readability-identifier-naming)

struct [[gnu::packed]] MessageHeader {
    std::uint32_t request;
    std::uint32_t flags;
    std::uint32_t size;
};
static_assert(sizeof(MessageHeader) == 12);

struct VhostVringState {
    std::uint32_t index;
    std::uint32_t num;
};
static_assert(sizeof(VhostVringState) == 8);

struct VhostVringAddr {
    std::uint32_t index;
    std::uint32_t flags;
    std::uint64_t desc_user_addr;
    std::uint64_t used_user_addr;
    std::uint64_t avail_user_addr;
    std::uint64_t log_guest_addr;
};
static_assert(sizeof(VhostVringAddr) == 40);

struct VhostUserMemoryRegion {
    std::uint64_t guest_phys_addr;
    std::uint64_t memory_size;
    std::uint64_t userspace_addr;
    std::uint64_t mmap_offset;
};
static_assert(sizeof(VhostUserMemoryRegion) == 32);

struct VhostUserMemoryHeader {
    std::uint32_t nregions;
    std::uint32_t padding;
};
static_assert(sizeof(VhostUserMemoryHeader) == 8);

/// ADD_MEM_REG and REM_MEM_REG.
struct VhostUserSingleMemoryRegion {
    std::uint64_t padding;
    VhostUserMemoryRegion region;
};
static_assert(sizeof(VhostUserSingleMemoryRegion) == 40);

struct VhostUserLog {
    std::uint64_t mmap_size;
    std::uint64_t mmap_offset;
};
static_assert(sizeof(VhostUserLog) == 16);

/// Followed by `size` bytes.
struct VhostUserConfigHeader {
    std::uint32_t offset;
    std::uint32_t size;
    std::uint32_t flags;
};
static_assert(sizeof(VhostUserConfigHeader) == 12);

struct VhostUserInflight {
    std::uint64_t mmap_size;
    std::uint64_t mmap_offset;
    std::uint16_t num_queues;
    std::uint16_t queue_size;
    std::uint32_t padding;
};
static_assert(sizeof(VhostUserInflight) == 24);

enum class TransferDirection : std::uint32_t { save = 0, load = 1 };
enum class TransferPhase : std::uint32_t { stopped = 0 };

struct VhostUserTransferDeviceState {
    std::uint32_t direction;
    std::uint32_t phase;
};
static_assert(sizeof(VhostUserTransferDeviceState) == 8);

/// virtio 1.2, 5.11.4: struct virtio_fs_config.
struct VirtioFsConfig {
    std::uint8_t tag[36];
    std::uint32_t num_request_queues;
};
static_assert(sizeof(VirtioFsConfig) == 40);

} // namespace vfskit::vhost_user
