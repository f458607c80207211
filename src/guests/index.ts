export { type Guest, type Happening, isActive } from './guest.ts'
export { Inventory, type Resync } from './inventory.ts'
