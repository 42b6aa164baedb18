// A memory behind AXI ports of a compiled design, driven cycle by cycle through the design's own
// harness. With no stalls it takes a request and a word a cycle and answers after a fixed latency.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

using Run = void (*)(void *, uint64_t, const uint32_t *, uint32_t *);

// Words of a row of inputs or outputs in which the ports of one AXI port begin; -1 for none.
struct Places {
    int32_t ar_ready, r_valid, r_payload, aw_ready, w_ready, b_valid;                    // inputs
    int32_t ar_valid, ar_payload, r_ready, aw_valid, aw_payload, w_valid, w_payload, b_ready;
    int32_t bus_bytes;
};

struct Beat { uint64_t due; uint32_t address; bool last; };
struct Burst { uint32_t address; uint32_t beats; };

// What a port offered and nobody took: AXI wants it to stay as it is.
struct Offer {
    bool held = false;
    std::vector<uint32_t> words;
    bool changed(bool valid, bool ready, const uint32_t *payload, int count) {
        bool wrong = held && (!valid || !std::equal(words.begin(), words.end(), payload));
        held = valid && !ready;
        if (held) words.assign(payload, payload + count);
        return wrong;
    }
};

struct Port {
    Offer requests, stores, words;
    std::deque<Beat> reads;
    std::deque<Burst> writes;
    std::deque<uint64_t> acks;
    uint64_t next_read = 0;
    bool ar = false, r = false, aw = false, w = false, b = false;  // offered in this cycle
};

struct Memory {
    std::vector<uint8_t> image;
    uint64_t now = 0, latency = 1, state = 1, errors = 0;
    uint32_t stall = 0;  // of 256
    std::vector<Port> ports;

    uint32_t random() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return uint32_t(state >> 32);
    }
    bool goes() { return stall == 0 || (random() & 255) >= stall; }
    uint64_t late() { return latency + (stall ? random() % 64 * (random() % 4 == 0) : 0); }

    void drive(Port &port, const Places &at, uint32_t *in) {
        port.ar = goes();
        port.r = port.r || (!port.reads.empty() && port.reads.front().due <= now && goes());
        in[at.ar_ready] = port.ar;
        in[at.r_valid] = port.r;
        if (port.r) {
            const Beat &beat = port.reads.front();
            std::memcpy(in + at.r_payload, image.data() + beat.address, at.bus_bytes);
            in[at.r_payload + at.bus_bytes / 4] = beat.last;
        }
        if (at.aw_ready < 0) return;
        port.aw = goes();
        port.w = goes();
        port.b = port.b || (!port.acks.empty() && port.acks.front() <= now && goes());
        in[at.aw_ready] = port.aw;
        in[at.w_ready] = port.w;
        in[at.b_valid] = port.b;
    }

    bool inside(uint32_t address, uint64_t bytes, int bus) {
        bool right = address % bus == 0 && address + bytes <= image.size() &&
                     address / 4096 == (address + bytes - 1) / 4096;
        errors += !right;
        return right;
    }

    void watch(Port &port, const Places &at, const uint32_t *out) {
        errors += port.requests.changed(out[at.ar_valid], port.ar, out + at.ar_payload, 2);
        if (port.r && out[at.r_ready]) {
            port.reads.pop_front();
            port.r = false;
        }
        if (port.ar && out[at.ar_valid]) {
            uint32_t address = out[at.ar_payload], beats = (out[at.ar_payload + 1] & 255) + 1;
            if (inside(address, uint64_t(beats) * at.bus_bytes, at.bus_bytes)) {
                uint64_t due = now + late();
                for (uint32_t beat = 0; beat < beats; beat++, due++) {
                    due = due > port.next_read ? due : port.next_read;
                    port.next_read = due + 1;
                    port.reads.push_back({due, address + beat * at.bus_bytes, beat + 1 == beats});
                }
            }
        }
        if (at.aw_ready < 0) return;
        int wide = at.bus_bytes / 4 + 1;
        errors += port.stores.changed(out[at.aw_valid], port.aw, out + at.aw_payload, 2);
        errors += port.words.changed(out[at.w_valid], port.w, out + at.w_payload, wide);
        if (port.b && out[at.b_ready]) {
            port.acks.pop_front();
            port.b = false;
        }
        if (port.aw && out[at.aw_valid]) {
            uint32_t address = out[at.aw_payload], beats = (out[at.aw_payload + 1] & 255) + 1;
            if (inside(address, uint64_t(beats) * at.bus_bytes, at.bus_bytes))
                port.writes.push_back({address, beats});
        }
        if (port.w && out[at.w_valid]) {
            if (port.writes.empty()) {
                errors++;
                return;
            }
            Burst &burst = port.writes.front();
            std::memcpy(image.data() + burst.address, out + at.w_payload, at.bus_bytes);
            burst.address += at.bus_bytes;
            bool last = --burst.beats == 0;
            errors += last != bool(out[at.w_payload + at.bus_bytes / 4] & 1);
            if (last) {
                uint64_t due = now + late();
                if (!port.acks.empty() && due < port.acks.back()) due = port.acks.back();
                port.acks.push_back(due);
                port.writes.pop_front();
            }
        }
    }
};

extern "C" {
void *memory_create(uint64_t size, uint64_t ports) {
    Memory *memory = new Memory;
    memory->image.resize(size);
    memory->ports.resize(ports);
    return memory;
}
void memory_destroy(void *memory) { delete static_cast<Memory *>(memory); }
uint8_t *memory_image(void *memory) { return static_cast<Memory *>(memory)->image.data(); }
uint64_t memory_errors(void *memory) { return static_cast<Memory *>(memory)->errors; }
void memory_forget(void *memory) {
    Memory &mine = *static_cast<Memory *>(memory);
    mine.ports.assign(mine.ports.size(), Port());
    mine.errors = 0;
}
void memory_set(void *memory, uint64_t latency, uint32_t stall, uint64_t seed) {
    Memory &mine = *static_cast<Memory *>(memory);
    mine.latency = latency;
    mine.stall = stall;
    mine.state = seed * 2654435761u + 88172645463325252ull;
}
void memory_run(void *memory, Run run, void *design, uint64_t cycles, uint32_t *in, uint32_t *out,
                uint64_t in_words, uint64_t out_words, const Places *places) {
    Memory &mine = *static_cast<Memory *>(memory);
    for (uint64_t cycle = 0; cycle < cycles; cycle++, in += in_words, out += out_words) {
        for (size_t i = 0; i < mine.ports.size(); i++) mine.drive(mine.ports[i], places[i], in);
        run(design, 1, in, out);
        for (size_t i = 0; i < mine.ports.size(); i++) mine.watch(mine.ports[i], places[i], out);
        mine.now++;
    }
}
}
