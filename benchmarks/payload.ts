/** What commands carry in the benchmarks: 200 bytes when packed. */
export const PAYLOAD = {
  sku: "A-1187",
  quantity: 12,
  price: 19.95,
  urgent: false,
  tags: ["fragile", "cold", "eu-west"],
  address: { street: "12 Harbour Lane", city: "Rotterdam", zip: "3011 AA" },
  note: "x".repeat(59),
};
