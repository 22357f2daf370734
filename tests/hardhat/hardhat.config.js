// Mines when asked, and orders by what a block's builder earns.
module.exports = {
  networks: {
    hardhat: {
      chainId: 137,
      hardfork: "cancun",
      mining: { auto: false, interval: 0, mempool: { order: "priority" } },
      initialBaseFeePerGas: 30000000000,
    },
  },
};
