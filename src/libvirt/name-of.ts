/**
 * The name that a value of one of libvirt's enums has, or the number as text where a newer daemon says something unknown.
 *
 * @example
 * nameOf(enums.virDomainEventType, event.event) // 'VIR_DOMAIN_EVENT_STARTED'
 */
export function nameOf(values: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(values).find((name) => values[name] === value) ?? String(value)
}
