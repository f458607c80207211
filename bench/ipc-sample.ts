/** With its tag, stamp and number about 200 bytes, like a lifecycle event of a guest. */
export const SAMPLE: Readonly<Record<string, unknown>> = {
  uri: 'qemu+tls://kvm17.example/system',
  domain: { name: 'web-frontend-03', id: 42, uuid: '5d7a5f1c-8a77-4a3e-9d35-0f1f4f6c2a11' },
  event: 'started',
  detail: 'booted',
  number: 0,
}
