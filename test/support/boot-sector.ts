/** Where the BIOS loads a boot sector, and where this one keeps what it gives to the BIOS and to devices. */
const ORIGIN = 0x7c00
const SECTOR_BYTES = 512
const SIGNATURE = [0x55, 0xaa]
/** A page of real mode's first segment for a virtqueue; its used ring is the page after it. */
const QUEUE = 0x8000
const MESSAGE = 0xa000
const DISK_PACKET = 0xb000

const low16 = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff]
const low32 = (value: number): number[] => [...low16(value), ...low16(value >>> 16)]

/**
 * A guest in 512 bytes: 16-bit x86 machine code that the BIOS loads and runs, written instruction by instruction.
 * Each method appends to the program; `bytes` ends it with a loop that does nothing.
 */
export class BootSector {
  readonly #code: number[] = []

  constructor() {
    // cli; xor ax, ax; mov ds, ax; mov es, ax; mov ss, ax; mov sp, 0x7000; sti
    this.#emit(0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, ...low16(0x7000), 0xfb)
  }

  /** The sector as the first of a disk. */
  get bytes(): Buffer {
    const sector = Buffer.alloc(SECTOR_BYTES)
    const program = Buffer.from([...this.#code, 0xf4, 0xeb, 0xfd]) // hlt; jmp to the hlt
    if (program.length > SECTOR_BYTES - SIGNATURE.length)
      throw new RangeError(`${program.length} bytes of code`)
    program.copy(sector)
    sector.set(SIGNATURE, SECTOR_BYTES - SIGNATURE.length)
    return sector
  }

  /** `out dx, al` with the port in dx. */
  outByte(port: number, value: number): this {
    return this.#emit(0xba, ...low16(port), 0xb0, value, 0xee)
  }

  /** `out dx, ax`. */
  outWord(port: number, value: number): this {
    return this.#emit(0xba, ...low16(port), 0xb8, ...low16(value), 0xef)
  }

  /** `out dx, eax`. */
  outLong(port: number, value: number): this {
    return this.#emit(0xba, ...low16(port), 0x66, 0xb8, ...low32(value), 0x66, 0xef)
  }

  /** BIOS int 13h/43h, extended write: the boot sector itself goes to a sector of a disk; 0x80 is the first one. */
  writeDisk({ drive, sector }: { drive: number; sector: number }): this {
    // Packet: its size, one sector, from the origin, to this sector.
    this.#store(DISK_PACKET, [16, 1, ORIGIN, 0, sector & 0xffff, sector >>> 16, 0, 0])
    // mov si, packet; mov dl, drive; mov ax, 0x4300; int 0x13
    return this.#emit(0xbe, ...low16(DISK_PACKET), 0xb2, drive, 0xb8, 0x00, 0x43, 0xcd, 0x13)
  }

  /** The hour of the CMOS clock, in BCD. */
  setClockHour(bcd: number): this {
    return this.outByte(0x70, 4).outByte(0x71, bcd)
  }

  /** BIOS int 1Ah: finds a device on the PCI bus and keeps the I/O base of its first region in bp. */
  findPci({ vendor, device }: { vendor: number; device: number }): this {
    // mov ax, 0xb102; mov cx, device; mov dx, vendor; xor si, si; int 0x1a gives the place of the device in bx
    this.#emit(0xb8, 0x02, 0xb1, 0xb9, ...low16(device), 0xba, ...low16(vendor), 0x31, 0xf6, 0xcd, 0x1a)
    // mov ax, 0xb10a; mov di, 0x10; int 0x1a gives the register in ecx; and cx, 0xfffc; mov bp, cx
    return this.#emit(0xb8, 0x0a, 0xb1, 0xbf, 0x10, 0x00, 0xcd, 0x1a, 0x83, 0xe1, 0xfc, 0x89, 0xcd)
  }

  /** `out` of a byte, a word or a double word to an offset from the base of `findPci`. */
  outAt(offset: number, value: number, bytes: 1 | 2 | 4): this {
    this.#emit(0x8d, 0x56, offset) // lea dx, [bp + offset]
    if (bytes === 1) return this.#emit(0xb0, value, 0xee)
    if (bytes === 2) return this.#emit(0xb8, ...low16(value), 0xef)
    return this.#emit(0x66, 0xb8, ...low32(value), 0x66, 0xef)
  }

  /**
   * Opens a port of the legacy virtio console, as the driver of a guest does when its agent starts: one message in the
   * control queue (virtio 1.0 §5.3.6.2 and §2.4, legacy interface; the queue has 32 entries).
   */
  openConsolePort(port: number): this {
    const [DRIVER, DRIVER_OK, MULTIPORT, CONTROL_QUEUE, PORT_OPEN] = [3, 7, 2, 3, 6]
    const entries = 32
    this.findPci({ vendor: 0x1af4, device: 0x1003 })
    // mov ax, 0xb10c; mov di, 4; mov cx, 7; int 0x1a: the device may use ports, memory and, for its queue, the bus.
    this.#emit(0xb8, 0x0c, 0xb1, 0xbf, 0x04, 0x00, 0xb9, 0x07, 0x00, 0xcd, 0x1a)
    this.#store(MESSAGE, [port, 0, PORT_OPEN, 1])
    // The one descriptor is the message; the available ring follows the descriptors: flags, index, the first entry.
    this.#store(QUEUE, [MESSAGE, 0, 0, 0, 8, 0, 0, 0])
    this.#store(QUEUE + 16 * entries, [0, 1, 0])
    this.outAt(18, DRIVER, 1).outAt(4, MULTIPORT, 4)
    this.outAt(14, CONTROL_QUEUE, 2).outAt(8, QUEUE >> 12, 4)
    return this.outAt(18, DRIVER_OK, 1).outAt(16, CONTROL_QUEUE, 2)
  }

  /** Tells QEMU's legacy balloon how much it holds, in pages of 4 KiB: `actual` of its configuration. */
  setBalloon(pages: number): this {
    return this.findPci({ vendor: 0x1af4, device: 0x1002 }).outAt(24, pages, 4)
  }

  /** Writes half a megabyte of memory again and again, each time something else, and never ends. */
  rewriteMemory(): this {
    const start = this.#code.length
    const [first, last] = [0x1000, 0x9000]
    this.#emit(0xba, ...low16(first)) // mov dx, first
    const segment = this.#code.length
    // mov es, dx; xor di, di; mov cx, 0x8000; inc ax; rep stosw
    this.#emit(0x8e, 0xc2, 0x31, 0xff, 0xb9, ...low16(0x8000), 0x40, 0xf3, 0xab)
    // add dx, 0x1000; cmp dx, last
    this.#emit(0x81, 0xc2, ...low16(0x1000), 0x81, 0xfa, ...low16(last))
    return this.#jump(0x72, segment).#jump(0xeb, start) // jb segment; jmp start
  }

  /** A jump with a relative byte to an earlier place. */
  #jump(opcode: number, to: number): this {
    return this.#emit(opcode, (to - this.#code.length - 2) & 0xff)
  }

  #store(address: number, words: readonly number[]): this {
    // mov word [address], word
    for (const [index, word] of words.entries())
      this.#emit(0xc7, 0x06, ...low16(address + 2 * index), ...low16(word))
    return this
  }

  #emit(...bytes: number[]): this {
    this.#code.push(...bytes)
    return this
  }
}

/** Ports of QEMU's `pc` machine. */
export const PC = {
  /** ACPI PM1a control: sleep type and enable. */
  sleep: 0x604,
  sleepTypes: { off: 0x2000, memory: 0x2400, disk: 0x2800 },
  panic: 0x505,
  /** The ib700 watchdog: a number on this port starts it; 15 is 0 s, 14 is 2 s, and so on. */
  watchdog: 0x443,
  /** ACPI memory hotplug: slot, event of _OST, its status. */
  memorySlot: 0xa00,
  memoryEvent: 0xa04,
  memoryStatus: 0xa08,
} as const
