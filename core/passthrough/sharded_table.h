// SPDX-License-Identifier: Apache-2.0
// Hash tables of record records: chained through the records themselves, in shards with a mutex
// each.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace vfskit::passthrough {

/// Spreads all bits of a number over all bits of the result (the finaliser of splitmix64).
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t value) {
    value ^= value >> 30U;
    value *= 0xbf58476d1ce4e5b9;
    value ^= value >> 27U;
    value *= 0x94d049bb133111eb;
    return value ^ (value >> 31U);
}

/// One shard: buckets of chains. `Next` is the member that chains, Traits::hash(record) its key.
/// All members need the mutex held. Grows at two records per bucket, so a record costs 4 to 8 bytes
/// of bucket; never shrinks, for the next walk through the tree needs them again.
template <class Record, Record* Record::*Next, class Traits>
struct alignas(64) TableShard {
    std::mutex mutex;
    std::vector<Record*> buckets;
    std::size_t size = 0;

    /// So that `count` records fit without growing. Only while it is empty.
    void reserve(std::size_t count) {
        if (size == 0 && count > 2 * buckets.size()) {
            buckets.assign(std::bit_ceil(count / 2 + 1), nullptr);
        }
    }
    void insert(Record* record) {
        if (size >= 2 * buckets.size()) {
            grow();
        }
        push(record);
        ++size;
    }
    /// False when it was not there.
    bool remove(Record* record) {
        if (buckets.empty()) {
            return false;
        }
        for (auto** link = &bucket(Traits::hash(*record)); *link != nullptr;
             link = &((*link)->*Next)) {
            if (*link == record) {
                *link = record->*Next;
                record->*Next = nullptr;
                --size;
                return true;
            }
        }
        return false;
    }
    template <class Matches>
    [[nodiscard]] Record* find(std::uint64_t hash, Matches&& matches) {
        if (buckets.empty()) {
            return nullptr;
        }
        for (auto* record = bucket(hash); record != nullptr; record = record->*Next) {
            if (matches(*record)) {
                return record;
            }
        }
        return nullptr;
    }
    template <class Visit>
    void for_each(Visit&& visit) {
        for (auto* record : buckets) {
            while (record != nullptr) {
                auto* next = record->*Next;
                visit(*record);
                record = next;
            }
        }
    }

private:
    // The shard has been chosen by the low bits.
    Record*& bucket(std::uint64_t hash) { return buckets[(hash >> 8U) & (buckets.size() - 1)]; }
    void push(Record* record) {
        auto*& head = bucket(Traits::hash(*record));
        record->*Next = head;
        head = record;
    }
    void grow() {
        std::vector<Record*> old(buckets.empty() ? 4 : 2 * buckets.size(), nullptr);
        old.swap(buckets);
        for (auto* record : old) {
            while (record != nullptr) {
                auto* next = record->*Next;
                push(record);
                record = next;
            }
        }
    }
};

template <class Record, Record* Record::*Next, class Traits>
class ShardedTable {
public:
    using Shard = TableShard<Record, Next, Traits>;
    /// Two requests meet in a shard rarely with as many shards as this, on any machine in sight.
    static constexpr std::size_t shard_count = 64;

    [[nodiscard]] Shard& shard(std::uint64_t hash) { return shards_[hash % shard_count]; }
    /// Before many are inserted: growing costs more than that.
    void reserve(std::size_t count) {
        for (auto& shard : shards_) {
            const std::lock_guard lock{shard.mutex};
            shard.reserve(count / shard_count);
        }
    }
    [[nodiscard]] std::array<Shard, shard_count>& shards() { return shards_; }

private:
    std::array<Shard, shard_count> shards_;
};

} // namespace vfskit::passthrough
