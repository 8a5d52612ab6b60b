//go:build !race

package main

// dearAtOnce is how many dear questions are asked together.
const dearAtOnce = 50
