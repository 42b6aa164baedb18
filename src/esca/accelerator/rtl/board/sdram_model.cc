// SDR SDRAM at the pins of a compiled design, driven cycle by cycle through the design's own
// harness. It keeps the data, and counts what a part of these times would not take.

#include <cstdint>
#include <cstring>
#include <vector>

using Run = void (*)(void *, uint64_t, const uint32_t *, uint32_t *);

// Words of a row of inputs or outputs in which the pins lie.
struct Places {
    int32_t dq_i;                                              // input
    int32_t cke, command, bank, address, dqm, dq_o, dq_oe;     // outputs
};

// Sizes in bits, times in ps, `cas` in cycles.
struct Part {
    uint64_t row_bits, column_bits, bank_bits, cas;
    uint64_t period, rcd, rp, ras, longest, rc, rrd, rfc, wr, mrd, refresh, start;
};

enum Command { NOP = 14, ACTIVATE = 12, READ = 10, WRITE = 2, PRECHARGE = 4, REFRESH = 8, MODE = 0 };

enum Wrong {
    EARLY_START, UNPREPARED, BAD_MODE, BANK_OPEN, BANK_CLOSED, T_RCD, T_RP, T_RAS, T_LONGEST, T_RC,
    T_RRD, T_RFC, T_WR, T_MRD, LATE_REFRESH, BUS, NOT_DRIVEN, COLUMN, UNKNOWN, CLOCK_OFF, WRONGS
};

constexpr int64_t NEVER = -(int64_t(1) << 40);
constexpr int64_t MOST_POSTPONED = 8;

struct Bank {
    bool open = false;
    uint64_t row = 0;
    int64_t activated = NEVER, precharged = NEVER, written = NEVER;
};

struct Sdram {
    Part part;
    std::vector<uint8_t> image;
    std::vector<Bank> banks;
    int64_t now = 0;
    int64_t activated = NEVER, refreshed = NEVER, moded = NEVER, first_mode = NEVER, read = NEVER;
    int64_t refreshes = 0, early_refreshes = 0, commands = 0;
    bool precharged_all = false, moded_once = false;
    uint32_t line[8] = {};   // words on their way to the pins, by cycle
    bool sent[8] = {};
    uint64_t wrongs[WRONGS] = {};
    int64_t first_wrong = -1;
    uint32_t noise = 1;

    void check(bool right, Wrong what) {
        if (right) return;
        wrongs[what]++;
        if (first_wrong < 0) first_wrong = now;
    }
    bool since(int64_t then, uint64_t time) const {
        return (now - then) * int64_t(part.period) >= int64_t(time);
    }
    uint32_t drive() {
        noise = noise * 1664525u + 1013904223u;
        int slot = now & 7;
        uint32_t word = sent[slot] ? line[slot] : noise >> 16;
        sent[slot] = false;
        return word;
    }
    uint64_t place(const Bank &bank, uint64_t number, uint64_t column) const {
        return (((bank.row << part.bank_bits) | number) << part.column_bits | column) * 2;
    }
    void close(Bank &bank) {
        if (bank.open) {
            check(since(bank.activated, part.ras), T_RAS);
            check(!since(bank.activated, part.longest), T_LONGEST);
            check(since(bank.written, part.wr), T_WR);
        }
        if (bank.open) bank.precharged = now;
        bank.open = false;
    }
    void all_closed() {
        for (const Bank &bank : banks) {
            check(!bank.open, BANK_OPEN);
            check(since(bank.precharged, part.rp), T_RP);
        }
    }
    void watch(uint32_t cke, uint32_t command, uint32_t number, uint32_t address, uint32_t dqm,
               uint32_t word, bool driven) {
        // Memory drives from half a cycle before the word to half a cycle behind it, and lets go
        // some time later.
        int64_t behind = now - read;
        check(!(driven && behind < int64_t(part.cas) + 2), BUS);
        if (moded_once) {
            int64_t due = (now - first_mode) * int64_t(part.period) / int64_t(part.refresh);
            check(due - refreshes <= MOST_POSTPONED, LATE_REFRESH);
        }
        if (command & 1) command = NOP;
        if (command == NOP) return;
        commands++;
        check(cke, CLOCK_OFF);
        check(uint64_t(now) * part.period >= part.start, EARLY_START);
        check(since(refreshed, part.rfc), T_RFC);
        check(since(moded, part.mrd), T_MRD);
        Bank &bank = banks[number];
        switch (command) {
        case ACTIVATE:
            check(moded_once, UNPREPARED);
            check(!bank.open, BANK_OPEN);
            check(since(bank.precharged, part.rp), T_RP);
            check(since(bank.activated, part.rc), T_RC);
            check(since(activated, part.rrd), T_RRD);
            bank.open = true;
            bank.row = address & ((uint64_t(1) << part.row_bits) - 1);
            bank.activated = activated = now;
            break;
        case READ:
        case WRITE: {
            check(bank.open, BANK_CLOSED);
            check(since(bank.activated, part.rcd), T_RCD);
            check(address >> part.column_bits == 0, COLUMN);  // nor a precharge behind it
            uint64_t at = place(bank, number, address & ((1u << part.column_bits) - 1));
            if (command == READ) {
                uint16_t found;
                std::memcpy(&found, image.data() + at, 2);
                line[(now + part.cas) & 7] = found;
                sent[(now + part.cas) & 7] = true;
                read = now;
            } else {
                check(driven, NOT_DRIVEN);
                for (int i = 0; i < 2; i++)
                    if (!(dqm >> i & 1)) image[at + i] = uint8_t(word >> 8 * i);
                bank.written = now;
            }
            break;
        }
        case PRECHARGE:
            for (uint64_t i = 0; i < banks.size(); i++)
                if ((address >> 10 & 1) || i == number) close(banks[i]);
            precharged_all |= address >> 10 & 1;
            break;
        case REFRESH:
            check(precharged_all, UNPREPARED);
            all_closed();
            refreshed = now;
            refreshes += moded_once;
            early_refreshes += !moded_once;
            break;
        case MODE:
            all_closed();
            check(early_refreshes >= 2, UNPREPARED);
            check(address == part.cas << 4 && number == 0, BAD_MODE);
            if (!moded_once) first_mode = now;
            moded_once = true;
            moded = now;
            break;
        default:
            check(false, UNKNOWN);
        }
    }
};

extern "C" {
void *sdram_create(const Part *part) {
    Sdram *made = new Sdram;
    made->part = *part;
    made->image.resize(uint64_t(2) << (part->row_bits + part->column_bits + part->bank_bits));
    made->banks.resize(uint64_t(1) << part->bank_bits);
    return made;
}
void sdram_destroy(void *sdram) { delete static_cast<Sdram *>(sdram); }
uint8_t *sdram_image(void *sdram) { return static_cast<Sdram *>(sdram)->image.data(); }
const uint64_t *sdram_wrongs(void *sdram) { return static_cast<Sdram *>(sdram)->wrongs; }
int64_t sdram_first_wrong(void *sdram) { return static_cast<Sdram *>(sdram)->first_wrong; }
void sdram_run(void *sdram, Run run, void *design, uint64_t cycles, uint32_t *in, uint32_t *out,
               uint64_t in_words, uint64_t out_words, const Places *at) {
    Sdram &mine = *static_cast<Sdram *>(sdram);
    for (uint64_t cycle = 0; cycle < cycles; cycle++, in += in_words, out += out_words) {
        in[at->dq_i] = mine.drive();
        run(design, 1, in, out);
        mine.watch(out[at->cke], out[at->command], out[at->bank], out[at->address], out[at->dqm],
                   out[at->dq_o], out[at->dq_oe]);
        mine.now++;
    }
}
}
